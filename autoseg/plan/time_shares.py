"""How a time budget is divided: between folds and other work, among folds, and between training and validation.

The budget of a run is divided twice, by two rules that differ on purpose.

- When the plan is made (`divide_budget`), of the work itself only a training step is measured. So preprocessing,
  report and the start of each fold are kept back by what they usually take. The rest is divided equally, since no fold
  has begun.
- Before each fold (`time_for_training`, `seconds_of_next_fold`), preprocessing is part of what is spent, and the
  finished folds show what validation takes. So less is kept back, and what one stage saved goes to the folds that are
  left.

Where several devices train folds side by side, the budget is wall time. The folds form a queue for each device
(`queues_of`), and a fold gets what is left, divided by the rounds that are left: the folds of the longest queue.

Planning again (`budget_of_some_folds`) is the first rule once more, for the folds of a few configurations and the time
that is left. Within a fold (`divide_fold`), validation comes first and training gets the rest. Once a fold is being
trained, its steps follow the real pace of the machine (`trainer/events.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from autoseg.plan.bounds import MOST_STEPS

SECONDS_A_CASE, SECONDS_A_FOLD, SHARE_UNPLANNED = 0.4, 6.0, 0.02
"""What is not given to folds when the plan is made: seconds per case for preprocessing and the report, seconds per fold
for its start, and a share of the whole budget for what is not foreseen."""

FACTOR_FOR_OTHER_WORK = 1.05
"""Factor from the time of all folds to the smallest useful budget, for preprocessing and the report."""

SHARE_FOR_THE_REPORT = 0.02
"""Fraction of the time budget that is kept for the reports at the end while their time is unknown."""

RESERVE = 0.002
"""Fraction of the time budget that is kept for unforeseen delays, so that the run ends in time."""

SECONDS_TO_START = 1.0
"""Seconds that a fold takes before its first step and after its last prediction together."""

SECONDS_TO_START_BESIDE = 8.0
"""The same where a fold is trained by a process of its own, which starts and loads torch first."""

LEAST_SHARE = 0.1
"""Minimum fraction of its planned time that a fold gets, even over budget."""

MOST_VALIDATIONS, CASES_A_VALIDATION = 3, 4
"""Maximum number of validations during training, and maximum number of whole cases that each of them predicts."""

SHARE_FOR_VALIDATIONS = 0.05
"""Maximum share of a fold's training time that the validations during training may take."""

SHARE_FOR_STEPS = 0.9
"""Share of a training time given by a person that the steps fill; the rest is for augmentation and validations."""


T = TypeVar("T")


@dataclass(frozen=True)
class BudgetShares:
    """The shares into which a time budget is divided when the plan is made.

    Args:
        fold_seconds: seconds for one fold of one configuration, including the prediction of its validation cases.
        kept_back: seconds of the budget for all work that is not part of a fold.
    """

    fold_seconds: float
    kept_back: float


@dataclass(frozen=True)
class Queue:
    """The unfinished folds that one device trains one after the other, and the time that it has for them.

    Args:
        done: seconds that each of these folds has been trained so far.
        left: seconds of training that they share; negative where the budget is exceeded.
    """

    done: tuple[float, ...]
    left: float


@dataclass(frozen=True)
class FoldShares:
    """The shares into which the time of a fold is divided.

    Args:
        steps: number of training steps.
        training_seconds: seconds of training, including validations during training.
        validation_seconds: seconds to predict the validation cases at the end; may exceed the time of the fold.
        validations: number of validations on whole cases during training.
    """

    steps: int
    training_seconds: float
    validation_seconds: float
    validations: int


def rounds(trainings: int, devices: int) -> int:
    """Number of folds that the device with most of them trains, if each device takes the next fold in turn."""
    return -(-trainings // devices)


def queues_of(order: Sequence[T], devices: int) -> tuple[tuple[T, ...], ...]:
    """Return the folds of each device: the first folds are trained side by side, then the next ones.

    Args:
        order: folds in the order in which they begin.
        devices: number of devices.
    """
    return tuple(tuple(order[place::devices]) for place in range(devices))


def divide_budget(
    budget: float, spent: float, cases: int, folds: int, configurations: int, devices: int = 1
) -> BudgetShares:
    """Divide a time budget equally among all folds of all configurations, after time for other work is kept back.

    Args:
        budget: time limit of the whole run in seconds.
        spent: seconds of it that are already used.
        cases: number of cases in the data set.
        folds: number of folds of each configuration.
        configurations: number of configurations that are trained.
        devices: number of devices that train folds side by side.
    """
    turns = rounds(folds * configurations, devices)
    kept_back = SHARE_UNPLANNED * budget + SECONDS_A_CASE * cases * configurations + SECONDS_A_FOLD * turns
    return BudgetShares(max(1.0, (budget - spent - kept_back) / turns), kept_back)


def budget_of_some_folds(budget: float, spent: float, share: float) -> float:
    """Time budget in seconds for planning some of the folds again: what is spent, and their share of the rest.

    Args:
        budget: time limit of the whole run in seconds.
        spent: seconds of it that are already used.
        share: these folds as a share of all folds that are left.
    """
    return spent + max(0.0, budget - spent) * share


def smallest_budget(spent: float, of_folds: float) -> float:
    """Smallest time budget in seconds in which all folds fit.

    Args:
        spent: seconds that are already used.
        of_folds: seconds that all folds together take, their start and their validation included.
    """
    return (spent + of_folds) * FACTOR_FOR_OTHER_WORK


def divide_fold(
    seconds: float, of_step: float, of_case: float, validation_cases: int, *, passes: int = 1
) -> FoldShares:
    """Divide the time of a fold into its training and the prediction of its validation cases.

    Args:
        seconds: time of the fold in seconds.
        of_step: seconds of a training step, augmentation included.
        of_case: seconds to predict one whole case.
        validation_cases: number of validation cases of the fold.
        passes: number of mirrored forms in which the validation cases are predicted at the end.
    """
    validation = of_case * passes * validation_cases
    training = max(1.0, seconds - validation)
    of_validation = of_case * min(CASES_A_VALIDATION, validation_cases)
    validations = min(MOST_VALIDATIONS, int(SHARE_FOR_VALIDATIONS * training / of_validation))
    steps = min(MOST_STEPS, max(1, int((training - validations * of_validation) / of_step)))
    return FoldShares(steps, training, validation, validations)


def steps_in(seconds: float, of_step: float) -> int:
    """Number of steps of a fold whose training time a person gives; what validations take is not known then.

    Args:
        seconds: time of the fold in seconds.
        of_step: measured seconds of a training step, without augmentation.
    """
    return min(MOST_STEPS, max(1, int(SHARE_FOR_STEPS * seconds / of_step)))


def time_for_training(budget: float, unspent: float, validation: float, report: float | None) -> float:
    """Seconds that all folds that are left may be trained for together; negative where the budget is exceeded.

    Args:
        budget: time limit of the whole run in seconds.
        unspent: seconds of it that are not used yet.
        validation: expected seconds of the validation and the start of all folds that are left.
        report: expected seconds of all reports at the end; None = unknown.
    """
    kept_back = (SHARE_FOR_THE_REPORT * budget if report is None else report) + RESERVE * budget
    return unspent - kept_back - validation


def seconds_of_next_fold(planned: float, trained: float, queues: Sequence[Queue]) -> float:
    """Seconds that the next fold is trained from now on; even where the budget is spent, it gets a model.

    Args:
        planned: planned seconds of its training.
        trained: seconds that it has been trained so far.
        queues: the folds that share the time, this one included, by device.
    """
    return max(LEAST_SHARE * planned, share_of_each(queues) - trained)


def share_of_each(queues: Sequence[Queue]) -> float:
    """Total seconds of training that every fold can have, so that also the device with most to do ends in time.

    Args:
        queues: the folds of each device; at least one device has a fold.
    """
    return min(equal_share(queue.done, queue.left) for queue in queues if queue.done)


def equal_share(done: Sequence[float], left: float) -> float:
    """Total seconds up to which every fold is filled, those that have had least first.

    Args:
        done: seconds that each fold has had so far.
        left: seconds to share out; where it is negative, no fold gets more.
    """
    ordered = sorted(done)
    for count in range(len(ordered), 0, -1):
        level = (left + sum(ordered[:count])) / count
        if level >= ordered[count - 1]:
            return level
    return ordered[0]
