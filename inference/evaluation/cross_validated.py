"""What cross-validation has predicted so far: each case by the model of the fold that did not see it."""

from __future__ import annotations

from dataclasses import dataclass

from autoseg.plan.plan import Plan
from autoseg.run_folder.folds import read_folds
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, read_splits
from inference.compare import Pair


@dataclass(frozen=True)
class CrossValidated:
    """The predictions of one configuration.

    Args:
        of_run: the folds in `splits.json`.
        splits: the folds of the configuration, of each the cases that take part.
        pairs: reference and prediction of every case that a finished fold predicted.
        unfinished: folds with cases that are not finished.
        lost: cases that a finished fold should have predicted.
    """

    of_run: tuple[Split, ...]
    splits: tuple[Split, ...]
    pairs: tuple[Pair, ...]
    unfinished: tuple[int, ...]
    lost: tuple[str, ...]

    @property
    def folds(self) -> dict[str, int]:
        """Fold that each case is validated in."""
        return {case: index for index, split in enumerate(self.splits) for case in split.val}


def cross_validated(run: RunFolder, plan: Plan, configuration: str) -> CrossValidated:
    """Find the predictions of a configuration and the references that were kept at preprocessing.

    Raises:
        PlanError: there is no such configuration, or the splits are missing or malformed.
        RunFolderError: a fold was trained with another split than `splits.json` now holds.
    """
    of_run = read_splits(run.splits)
    folds = read_folds(run, plan, configuration, of_run)
    source = plan.preprocessed_as(configuration)
    pairs: list[Pair] = []
    unfinished: list[int] = []
    lost: list[str] = []
    for index, split in enumerate(folds.splits):
        if index not in folds.finished:
            # what lies there is of a model that was deleted since, or not yet all
            unfinished += [index] if split.val else []
            continue
        files = {c: run.cross_validation(configuration) / f"{c}.nii.gz" for c in split.val}
        pairs += [Pair(c, run.case(source, c) / "reference.nii.gz", file) for c, file in files.items() if file.exists()]
        lost += [case for case, file in files.items() if not file.exists()]
    return CrossValidated(of_run, folds.splits, tuple(pairs), tuple(unfinished), tuple(lost))
