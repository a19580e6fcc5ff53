"""The folds of a configuration: the cases of each, which are finished, and whether they fit the plan and the splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoseg.plan.plan import Plan
from autoseg.run_folder.finished_fold import Finished, read_finished_folds, refuse_other_splits
from autoseg.run_folder.fold_cases import splits_of_configuration
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split
from autoseg.run_folder.trained_by import refuse_other_plan_than_trained


@dataclass(frozen=True)
class Folds:
    """The folds of one configuration, which fit the plan and the splits as these now stand.

    Args:
        configuration: name of the configuration in the plan.
        splits: training and validation cases of each fold, without the cases that take no part in the configuration.
        finished: the summary of each finished fold, by the fold's number.
    """

    configuration: str
    splits: tuple[Split, ...]
    finished: Mapping[int, Finished]

    @property
    def left(self) -> tuple[int, ...]:
        """Numbers of the folds that are not finished, in order."""
        return tuple(fold for fold in range(len(self.splits)) if fold not in self.finished)

    @property
    def possible(self) -> tuple[int, ...]:
        """Of the folds that are left, those that have cases to learn from and cases to be validated on."""
        return tuple(fold for fold in self.left if self.splits[fold].train and self.splits[fold].val)


def read_folds(run: RunFolder, plan: Plan, configuration: str, splits: Sequence[Split]) -> Folds:
    """Read the state of all folds of a configuration, and check them.

    Args:
        run: RUN folder that holds the folds and the preprocessed cases.
        plan: the plan, as `plan.yaml` now stands.
        configuration: name of the configuration.
        splits: folds of the run, as `splits.json` now has them.

    Raises:
        PlanError: there is no such configuration.
        RunFolderError: a fold was begun by settings that the plan no longer has, a finished fold was trained on other
            cases than its split now names, or a file of a fold is malformed.
    """
    refuse_other_plan_than_trained(run, plan, configuration)
    of_configuration = splits_of_configuration(run, plan, configuration, splits)
    finished = read_finished_folds(run, configuration, range(len(of_configuration)))
    refuse_other_splits(run, configuration, of_configuration, finished)
    return Folds(configuration, of_configuration, finished)
