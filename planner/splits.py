"""The folds of cross-validation: seeded, grouped by patient, stratified where the table allows.

In: the cases of a data set and what the fingerprint knows of them. Out: for each fold the cases it
trains on and those it is judged on.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from autoseg.dataset.case import Case, Dataset
from autoseg.dataset.fingerprint import CaseFingerprint, Fingerprint
from autoseg.dataset.record import CaseSource, DatasetRecord
from autoseg.errors import DatasetError, PlanError
from autoseg.plan.decision import Decision
from autoseg.run_folder.splits import Split

MOST_VOLUME_BINS = 4


def make_splits(dataset: Dataset, fingerprint: Fingerprint, *, folds: int = 5, seed: int) -> tuple[Split, ...]:
    """Split the cases so that each is validated once and the cases of a patient stay together.

    Every fold is to be like the whole data set in the stratification columns, the sequences present and
    the foreground volume, as far as there are enough cases (scikit-learn's StratifiedGroupKFold). With
    fewer patients than folds there are as many folds as patients.

    Args:
        dataset: training cases.
        fingerprint: of the same cases.
        folds: how many are asked for.
        seed: the same gives the same folds.

    Raises:
        DatasetError: there is one patient only.
    """
    # takes a second to import, which only those wait for who make folds
    from sklearn.model_selection import StratifiedGroupKFold

    count = number_of_folds(dataset, folds).value
    cases = dataset.cases
    splitter = StratifiedGroupKFold(n_splits=count, shuffle=True, random_state=seed)
    patients = _numbered([_patient(case) for case in cases])
    strata = strata_of(cases, fingerprint, count)
    with warnings.catch_warnings():
        # a stratum of fewer cases than folds cannot be in every fold; that is no news to the user
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        parts = list(splitter.split(np.zeros(len(cases)), strata, patients))
    return tuple(
        Split(train=tuple(cases[i].name for i in train), val=tuple(cases[i].name for i in val)) for train, val in parts
    )


def number_of_folds(dataset: Dataset, folds: int = 5) -> Decision[int]:
    """As many folds as are asked for, or as there are patients where these are fewer; at least two.

    Raises:
        DatasetError: there is one patient only, who cannot be both trained and validated on.
    """
    cases, patients = len(dataset.cases), len({_patient(case) for case in dataset.cases})
    if patients < 2:
        what = "one case" if cases == 1 else f"{cases} cases of one patient"
        raise DatasetError([f"{dataset.name}: has {what}; cross-validation needs two patients at least"])
    if folds < 2:
        raise PlanError(f"{folds} folds are not possible; ask for two at least")
    if patients < folds:
        return Decision(patients, f"{patients} patients ({cases} cases) are too few for {folds} folds")
    return Decision(folds, f"asked for; there are {patients} patients ({cases} cases)")


def strata_of(cases: Sequence[Case], fingerprint: Fingerprint, folds: int) -> list[int]:
    """The stratum of each case, numbered from 0.

    Cases are told apart by their stratification columns and sequences present; where fewer than `folds`
    cases are alike, by their columns alone, and where that is too fine too, not at all. Alike ones
    are then told apart by foreground volume, in bins of at least `folds` cases.
    """
    columns: list[Hashable] = [tuple(sorted(case.strata.items())) for case in cases]
    alike = _coarsened([(c, case.present) for c, case in zip(columns, cases, strict=True)], columns, folds)
    measured = {case.case: case for case in fingerprint.cases}
    volumes = [_foreground_mm3(measured.get(case.name)) for case in cases]
    strata: list[Hashable] = [None] * len(cases)
    for stratum in set(alike):
        members = [i for i, s in enumerate(alike) if s == stratum]
        for i, volume_bin in zip(members, volume_bins([volumes[i] for i in members], folds), strict=True):
            strata[i] = (stratum, volume_bin)
    return _numbered(strata)


def volume_bins(volumes: Sequence[float], folds: int) -> list[int]:
    """Bin of each volume, smallest first; bins are of equally many cases, at least `folds`, at most four."""
    bins = max(1, min(MOST_VOLUME_BINS, len(volumes) // folds))
    rank = np.argsort(np.argsort(volumes, kind="stable"), kind="stable")
    return [int(r) * bins // len(volumes) for r in rank]


def check_splits(splits: Sequence[Split], dataset: Dataset | DatasetRecord) -> None:
    """Refuse folds that are not possible or would let a patient be learned from and judged on.

    Args:
        splits: the folds.
        dataset: as it was read now, or as a RUN folder remembers it.

    Raises:
        PlanError: every problem found, naming fold, cases and patients.
    """
    patient_of = {case.name: _patient(case) for case in dataset.cases}
    names = {_patient(case): case.patient or case.name for case in dataset.cases}
    problems = [] if splits else ["there are no folds"]
    validated: dict[Hashable, int] = {}
    for fold, split in enumerate(splits):
        problems += [f"fold {fold}: {problem}" for problem in _within_fold(split, patient_of, names)]
        for patient in sorted({patient_of[c] for c in split.val if c in patient_of}, key=lambda p: names[p]):
            if patient in validated:
                problems.append(f"patient {names[patient]} is validated on in folds {validated[patient]} and {fold}")
            validated.setdefault(patient, fold)
    if problems:
        raise PlanError(
            "\n".join(f"splits.json: {problem}" for problem in problems)
            + "\ncorrect splits.json, or delete it and run `autoseg plan-and-preprocess` to have it made"
        )


def _within_fold(split: Split, patient_of: dict[str, Hashable], names: dict[Hashable, str]) -> list[str]:
    """What is wrong with a fold by itself."""
    problems = []
    for part, cases in (("train", split.train), ("val", split.val)):
        if not cases:
            problems.append(f"{part} is empty")
        if unknown := [case for case in cases if case not in patient_of]:
            problems.append(f"{part} names cases that the data set does not have: {', '.join(unknown)}")
        if repeated := [case for case, times in Counter(cases).items() if times > 1]:
            problems.append(f"{part} names a case more than once: {', '.join(repeated)}")
    both = set(split.train) & set(split.val)
    if both:
        problems.append(f"cases in both train and val: {', '.join(sorted(both))}")
    trained = {patient_of[case] for case in split.train if case in patient_of and case not in both}
    judged = {patient_of[case] for case in split.val if case in patient_of and case not in both}
    if shared := sorted(names[patient] for patient in trained & judged):
        problems.append(f"patients with cases in both train and val: {', '.join(shared)}")
    return problems


def _patient(case: Case | CaseSource) -> Hashable:
    """The patient of a case; one of its own where the data set names none."""
    return ("case", case.name) if case.patient is None else ("patient", case.patient)


def _coarsened(fine: Sequence[Hashable], coarse: Sequence[Hashable], folds: int) -> list[Hashable]:
    """For each case the finest description that at least `folds` cases share; None where none is."""
    result: list[Hashable] = [None] * len(fine)
    left = list(range(len(fine)))
    for descriptions in (fine, coarse):
        shared = Counter(descriptions[i] for i in left)
        for i in left:
            if shared[descriptions[i]] >= folds:
                result[i] = (descriptions is fine, descriptions[i])
        left = [i for i in left if result[i] is None]
    return result


def _foreground_mm3(case: CaseFingerprint | None) -> float:
    return sum(c.volume_mm3 for c in case.classes.values()) if case else 0.0


def _numbered(values: Sequence[Hashable]) -> list[int]:
    """Equal values by equal numbers, counted from 0 in order of appearance."""
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return [numbers[value] for value in values]
