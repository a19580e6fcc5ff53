"""The folds of cross-validation: seeded, grouped by patient, stratified where the table allows.

In: the cases of a data set and their fingerprint. Out: for each fold the cases it is trained on and the cases it is
validated on.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from autoseg.dataset.case import Case, Dataset
from autoseg.dataset.fingerprint import CaseFingerprint, Fingerprint
from autoseg.dataset.record import DatasetRecord
from autoseg.errors import DatasetError, PlanError
from autoseg.image.annotated_classes import EVERY, known_by_none, names_of_unknown
from autoseg.names import listed
from autoseg.plan.decision import Decision
from autoseg.run_folder.split_notes import patient_of
from autoseg.run_folder.splits import Split

MOST_VOLUME_BINS = 4

MOST_TRIES = 20
"""So many seeds are tried for folds of which each learns from cases that know every class."""

ALLOWED_BY = '; results would be too favourable; if you want it so, add "allow_overlap": true to the fold'


def make_splits(dataset: Dataset, fingerprint: Fingerprint, *, folds: int = 5, seed: int) -> tuple[Split, ...]:
    """Split the cases so that each case is validated on once and the cases of a patient stay together.

    Every fold resembles the whole data set in the stratification columns, the classes that were looked for, the
    sequences present and the foreground volume, as far as there are enough cases (scikit-learn's
    StratifiedGroupKFold). Of some seeds the first is taken with which every fold's training cases know each class, or
    else the one with which they lack the fewest. With fewer patients than folds there are as many folds as patients.

    Args:
        dataset: data set with the training cases.
        fingerprint: fingerprint of the same cases.
        folds: number of folds that are asked for.
        seed: random seed; the same seed gives the same folds.

    Raises:
        DatasetError: there is only one patient.
        PlanError: fewer than two folds are asked for.
    """
    count = number_of_folds(dataset, folds).value
    strata = strata_of(dataset.cases, fingerprint, count)
    fewest, best = _least_lacking(dataset), None
    for tried in range(MOST_TRIES):
        made = _split(dataset.cases, strata, count, seed + tried)
        lacking = _lacking(dataset, made)
        if best is None or lacking < best[0]:
            best = lacking, made
        if lacking <= fewest:
            break
    assert best is not None
    return best[1]


def _least_lacking(dataset: Dataset) -> int:
    """How often, at least, a class is known by none of a fold's training cases: once if one patient alone knows it."""
    knowing: dict[str, set[tuple[str, str]]] = {name: set() for name in dataset.labels.foreground}
    for case in dataset.cases:
        for name in knowing.keys() - set(names_of_unknown(dataset.labels, case.annotated)):
            knowing[name].add(patient_of(case))
    return sum(len(patients) == 1 for patients in knowing.values())


def _lacking(dataset: Dataset, splits: Sequence[Split]) -> int:
    """How often a class or region is known by none of a fold's training cases."""
    annotated = {case.name: case.annotated for case in dataset.cases}
    if set(annotated.values()) == {EVERY}:
        return 0
    return sum(len(known_by_none(dataset.labels, [annotated[name] for name in split.train])) for split in splits)


def _split(cases: Sequence[Case], strata: Sequence[int], folds: int, seed: int) -> tuple[Split, ...]:
    """The folds that one seed gives, with the cases of a patient together."""
    # the import takes a second, so only those who make folds wait for it
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    patients = _numbered([patient_of(case) for case in cases])
    with warnings.catch_warnings():
        # a stratum of fewer cases than folds cannot be in every fold; the user need not be told
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        parts = list(splitter.split(np.zeros(len(cases)), strata, patients))
    return tuple(
        Split(train=tuple(cases[i].name for i in train), val=tuple(cases[i].name for i in val)) for train, val in parts
    )


def number_of_folds(dataset: Dataset, folds: int = 5) -> Decision[int]:
    """The number of folds: as many as are asked for, but not more than there are patients.

    Raises:
        DatasetError: there is only one patient, who cannot be both trained and validated on.
        PlanError: fewer than two folds are asked for.
    """
    cases, patients = len(dataset.cases), len({patient_of(case) for case in dataset.cases})
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

    Cases with the same stratification columns, the same classes that were looked for and the same sequences form a
    group. Groups of fewer than `folds` cases are formed again without the sequences, and then by the columns alone;
    cases that are still in too small a group form one group. Each group is then divided by foreground volume into bins
    of at least `folds` cases.
    """
    columns: list[Hashable] = [tuple(sorted(case.strata.items())) for case in cases]
    known: list[Hashable] = [(column, case.annotated) for column, case in zip(columns, cases, strict=True)]
    finest: list[Hashable] = [(of_case, case.present) for of_case, case in zip(known, cases, strict=True)]
    alike = _coarsened((finest, known, columns), folds)
    measured = {case.case: case for case in fingerprint.cases}
    volumes = [_foreground_mm3(measured.get(case.name)) for case in cases]
    strata: list[Hashable] = [None] * len(cases)
    groups: dict[Hashable, list[int]] = {}
    for i, stratum in enumerate(alike):
        groups.setdefault(stratum, []).append(i)
    for stratum, members in groups.items():
        for i, volume_bin in zip(members, volume_bins([volumes[i] for i in members], folds), strict=True):
            strata[i] = (stratum, volume_bin)
    return _numbered(strata)


def volume_bins(volumes: Sequence[float], folds: int) -> list[int]:
    """The bin of each volume, 0 = smallest; at most four bins of equally many cases, at least `folds` in each."""
    bins = max(1, min(MOST_VOLUME_BINS, len(volumes) // folds))
    rank = np.argsort(np.argsort(volumes, kind="stable"), kind="stable")
    return [int(r) * bins // len(volumes) for r in rank]


def check_splits(splits: Sequence[Split], dataset: Dataset | DatasetRecord) -> None:
    """Refuse folds that are impossible, or in which a patient is both trained and validated on.

    A fold with `allow_overlap` may have a patient, or a case, in both. No case may be validated on twice.

    Args:
        splits: training and validation cases of each fold of cross-validation.
        dataset: the data set as it is read now, or its record in a RUN folder.

    Raises:
        PlanError: there are problems; the message names fold, cases and patients of each.
    """
    patients = {case.name: patient_of(case) for case in dataset.cases}
    problems = [] if splits else ["there are no folds"]
    for fold, split in enumerate(splits):
        problems += [f"fold {fold}: {problem}" for problem in _within_fold(split, patients)]
    problems += _validated_twice(splits, patients)
    if problems:
        raise PlanError(
            "\n".join(f"splits.json: {problem}" for problem in problems)
            + "\ncorrect splits.json, or delete it and run `autoseg plan-and-preprocess` to have it made"
        )


def _validated_twice(splits: Sequence[Split], patients: Mapping[str, tuple[str, str]]) -> list[str]:
    """Problems of cases, or of the cases of one patient, that are validated on in several folds."""
    problems, first = [], dict[tuple[str, str], int]()
    for fold, split in enumerate(splits):
        cases = {("case", case) for case in split.val if case in patients}
        people = set() if split.allow_overlap else {patients[name] for _, name in cases}
        for kind, name in sorted(cases | people):
            if (kind, name) in first:
                problems.append(f"{kind} {name} is validated on in folds {first[kind, name]} and {fold}")
            first.setdefault((kind, name), fold)
    return problems


def _within_fold(split: Split, patients: Mapping[str, tuple[str, str]]) -> list[str]:
    """The problems of one fold, regardless of the other folds.

    Args:
        split: training and validation cases of the fold.
        patients: kind and name of the patient of each case of the data set.
    """
    problems = []
    for part, cases in (("train", split.train), ("val", split.val)):
        if not cases:
            problems.append(f"{part} is empty")
        if unknown := [case for case in cases if case not in patients]:
            problems.append(f"{part} names cases that the data set does not have: {listed(unknown)}")
        if repeated := [case for case, times in Counter(cases).items() if times > 1]:
            problems.append(f"{part} names a case more than once: {listed(repeated)}")
    if split.allow_overlap:
        return problems
    both = set(split.train) & set(split.val)
    if both:
        problems.append(f"cases in both train and val: {listed(sorted(both))}{ALLOWED_BY}")
    trained = {patients[case] for case in split.train if case in patients and case not in both}
    validated = {patients[case] for case in split.val if case in patients and case not in both}
    if shared := sorted(name for _, name in trained & validated):
        problems.append(f"patients with cases in both train and val: {listed(shared)}{ALLOWED_BY}")
    return problems


def _coarsened(levels: Sequence[Sequence[Hashable]], folds: int) -> list[Hashable]:
    """For each case the finest description that at least `folds` cases share; None where there is none.

    Args:
        levels: descriptions of all cases, the finest first.
        folds: number of cases that must share a description.
    """
    result: list[Hashable] = [None] * len(levels[0])
    left = list(range(len(levels[0])))
    for level, descriptions in enumerate(levels):
        shared = Counter(descriptions[i] for i in left)
        for i in left:
            if shared[descriptions[i]] >= folds:
                result[i] = (level, descriptions[i])
        left = [i for i in left if result[i] is None]
    return result


def _foreground_mm3(case: CaseFingerprint | None) -> float:
    return sum(c.volume_mm3 for c in case.classes.values()) if case else 0.0


def _numbered(values: Sequence[Hashable]) -> list[int]:
    """A number for each value, from 0 in order of first appearance; equal values have equal numbers."""
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return [numbers[value] for value in values]
