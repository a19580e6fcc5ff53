"""Finds what cross-validation has predicted so far: each case by the fold that was not trained on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autoseg.plan.plan import Plan
from autoseg.run_folder.folds import read_folds
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import read_record
from autoseg.run_folder.splits import Split, read_splits
from inference.compare import Pair


@dataclass(frozen=True)
class CrossValidated:
    """The out-of-fold predictions of one configuration.

    Args:
        of_run: folds of the run, as in `splits.json`.
        splits: folds of the configuration: those of the run without the cases that the configuration cannot use.
        pairs: reference and prediction of every case that a finished fold predicted.
        unfinished: indices of the folds that have validation cases and are not finished.
        lost: names of the cases that a finished fold should have predicted, but whose prediction is missing.
    """

    of_run: tuple[Split, ...]
    splits: tuple[Split, ...]
    pairs: tuple[Pair, ...]
    unfinished: tuple[int, ...]
    lost: tuple[str, ...]

    @property
    def folds(self) -> dict[str, int]:
        """Index of the fold that each case is validated in, by case name."""
        return {case: index for index, split in enumerate(self.splits) for case in split.val}


def cross_validated(run: RunFolder, plan: Plan, configuration: str) -> CrossValidated:
    """Find the out-of-fold predictions of a configuration, and the references that preprocessing kept.

    Raises:
        PlanError: the plan has no such configuration, or the splits are missing or malformed.
        RunFolderError: a fold was trained with another split than `splits.json` now holds, or a case is not
            preprocessed.
    """
    of_run = read_splits(run.splits)
    folds = read_folds(run, plan, configuration, of_run)
    source = plan.preprocessed_as(configuration)
    pairs: list[Pair] = []
    unfinished: list[int] = []
    lost: list[str] = []
    for index, split in enumerate(folds.splits):
        if index not in folds.finished:
            # predictions of an unfinished fold are incomplete, or come from a model that was deleted since
            unfinished += [index] if split.val else []
            continue
        files = {c: run.cross_validation(configuration) / f"{c}.nii.gz" for c in split.val}
        pairs += [_pair(run.case(source, case), file) for case, file in files.items() if file.exists()]
        lost += [case for case, file in files.items() if not file.exists()]
    return CrossValidated(of_run, folds.splits, tuple(pairs), tuple(unfinished), tuple(lost))


def _pair(folder: Path, prediction: Path) -> Pair:
    """The prediction of a case beside the reference in its folder of preprocessed files."""
    return Pair(folder.name, folder / "reference.nii.gz", prediction, read_record(folder).annotated)
