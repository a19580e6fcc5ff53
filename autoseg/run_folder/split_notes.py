"""What a person should know of folds of their own before training, and beside the results.

In: the folds and the cases of the data set. Out: sentences for the terminal and the report. Folds that autoseg made
itself give none, but of classes that a fold's training cases do not know.
"""

from __future__ import annotations

from collections.abc import Sequence

from autoseg.dataset.case import Case, Dataset
from autoseg.dataset.record import CaseSource, DatasetRecord
from autoseg.image.annotated_classes import known_by_none
from autoseg.names import listed
from autoseg.run_folder.splits import Split


def patient_of(case: Case | CaseSource) -> tuple[str, str]:
    """Kind and name of the patient of a case; without a named patient the case counts as a patient of its own."""
    return ("case", case.name) if case.patient is None else ("patient", case.patient)


def notes_on_splits(splits: Sequence[Split], dataset: Dataset | DatasetRecord) -> tuple[str, ...]:
    """Sentences about folds that are possible, but unlike those that autoseg makes.

    Args:
        splits: training and validation cases of each fold, as `splits.json` has them.
        dataset: the data set as it is read now, or its record in a RUN folder.
    """
    trained = {case for split in splits for case in split.train}
    validated = {case for split in splits for case in split.val}
    names = [case.name for case in dataset.cases]
    notes = []
    if unused := [name for name in names if name not in trained | validated]:
        notes.append(f"splits.json: in no fold, so not used: {listed(unused)}")
    if unseen := [name for name in names if name in trained - validated]:
        notes.append(f"splits.json: trained on and in no validation, so not part of the results: {listed(unseen)}")
    if len(splits) == 1:
        notes.append("splits.json: has one fold, so predictions come from one model, and results from its val cases")
    patients = {case.name: patient_of(case) for case in dataset.cases}
    for fold, split in enumerate(splits):
        learned_from = {patients[case] for case in split.train if case in patients}
        if seen := [case for case in split.val if patients.get(case) in learned_from]:
            notes.append(
                f"splits.json: fold {fold} is trained on the patients of these val cases, as allow_overlap allows, so "
                f"its results are too favourable: {listed(seen)}"
            )
    return tuple(notes)


def notes_on_classes(splits: Sequence[Split], dataset: Dataset | DatasetRecord) -> tuple[str, ...]:
    """Sentences about folds whose training cases do not know a class or region that other cases know.

    Args:
        splits: training and validation cases of each fold.
        dataset: the data set as it is read now, or its record in a RUN folder.
    """
    annotated = {case.name: case.annotated for case in dataset.cases}
    notes = []
    for fold, split in enumerate(splits):
        of_training = [annotated[name] for name in split.train if name in annotated]
        if of_training and (unknown := known_by_none(dataset.labels, of_training)):
            notes.append(f"splits.json: {note_on_classes(fold, len(of_training), unknown)}")
    return tuple(notes)


def note_on_classes(fold: int, cases: int, unknown: Sequence[str]) -> str:
    """Sentence about classes or regions that none of a fold's training cases knows."""
    return (
        f"fold {fold}: nobody looked for {listed(unknown)} in any of its {cases} training cases, so this fold learns "
        "it as absent; add cases of other patients in which it was looked for, or move one into train"
    )
