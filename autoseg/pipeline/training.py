"""The second stage: folds are trained one after the other, and reported on once all are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from autoseg.console import open_console
from autoseg.defaults import DEFAULT_CONFIGURATIONS
from autoseg.durations import parse_duration
from autoseg.errors import InputError, RunFolderError
from autoseg.finished import read_finished, refuse_other_splits
from autoseg.pipeline.options import configurations_of, existing_run, refuse_models_alone
from autoseg.pipeline.results import report_if_finished, show_report
from autoseg.plan import Plan, read_plan
from autoseg.run_folder import RunFolder
from autoseg.run_state import TimeSpent, read_record, read_time_spent, timed
from autoseg.splits import Split, cases_of, read_splits
from autoseg.taking_part import splits_of
from autoseg.trained_by import refuse_other_plan_than_trained

SHARE_FOR_THE_REPORT = 0.02
"""Of a time budget, kept for the evaluation at its end."""

LEAST_SHARE = 0.1
"""Of a fold's planned time, that it gets even where the budget is spent."""


def train(
    run: Path | str,
    *,
    fold: int | Literal["all"] = "all",
    config: str | Sequence[str] = DEFAULT_CONFIGURATIONS,
    device: str = "auto",
    epochs: int | None = None,
    time_budget: str | float | None = None,
    workers: int | None = None,
) -> None:
    """Train one fold, or all in turn, going on where an earlier call stopped.

    At its end a fold predicts and evaluates its validation cases. Once all folds of a configuration
    are finished, its report is written.

    Args:
        run: a RUN folder with preprocessed cases; the raw data set is not needed.
        fold: number of the fold, from 0, or `all`; finished ones are left as they are.
        config: configurations to train.
        device: `auto`, `cpu`, `cuda` or `mps`.
        epochs: length of the schedule, instead of the plan's.
        time_budget: of each fold alone, such as `10m`, or seconds, instead of the plan's.
        workers: processes that draw and augment patches; None chooses by the cores.

    Raises:
        RunFolderError: the run is not planned or preprocessed, the fold is being trained already, or
            a finished one was trained with another split than `splits.json` now holds.
        PlanError: the plan or the folds were edited to something impossible.
        InputError: there is no such fold, or an option is malformed.
    """
    folder = existing_run(run)
    seconds = None if time_budget is None else parse_duration(time_budget)
    if epochs is not None and epochs < 1:
        raise InputError(f"--epochs {epochs}: at least one")
    refuse_models_alone(folder)
    plan, splits = read_plan(folder.plan), read_splits(folder.splits)
    folds = _folds(fold, len(splits))
    _refuse_unsound(folder, splits)
    configurations = configurations_of(config)
    for name in configurations:
        refuse_other_plan_than_trained(folder, plan, name)
        refuse_other_splits(folder, name, splits_of(folder, plan, name, splits))
        require_preprocessed(folder, plan, name, [splits[i] for i in folds])
    for name in configurations:
        for index in folds:
            train_unless_finished(folder, name, index, device=device, workers=workers, epochs=epochs, seconds=seconds)
        report = report_if_finished(folder, name, len(splits))
        if report is not None:
            show_report(open_console(), report)


def train_unless_finished(
    run: RunFolder,
    configuration: str,
    fold: int,
    *,
    device: str,
    workers: int | None = None,
    epochs: int | None = None,
    seconds: float | None = None,
    at_most: float | None = None,
) -> None:
    """Train a fold to its end; the time counts towards the run.

    Args:
        run: the RUN folder.
        configuration: to train.
        fold: its number.
        device: `auto`, `cpu`, `cuda` or `mps`.
        workers: processes that draw and augment patches; None chooses by the cores.
        epochs: length of the schedule; None = the plan's.
        seconds: time of the fold; None = the plan's.
        at_most: time from now that it may train at most; None = as the schedule has it.
    """
    # imported within the time that counts: torch takes seconds to load
    with timed(run, training_stage(configuration, fold)):
        from trainer.fold import is_finished, train_fold

        if is_finished(run, configuration, fold):
            open_console(stderr=True).print(
                f"{configuration}, fold {fold}: finished; delete {run.fold(configuration, fold)} to train it anew",
                highlight=False,
            )
            return
        train_fold(
            run,
            configuration,
            fold,
            device=device,
            workers=workers,
            epochs=epochs,
            seconds=seconds,
            at_most=at_most,
        )


def training_stage(configuration: str, fold: int) -> str:
    """Name in `time_spent.json` of a fold's training."""
    return f"train {configuration} fold {fold}"


def time_left_for_fold(
    run: RunFolder, plan: Plan, folds_left: Sequence[tuple[str, int]], configurations: Sequence[str]
) -> float | None:
    """Seconds that the next fold may train from now on, where the budget no longer affords all that is planned.

    None where it does: the fold then keeps the plan's schedule. Otherwise the folds share what is
    left, in proportion to what each still has to do.

    Args:
        run: the RUN folder.
        plan: its plan.
        folds_left: every (configuration, fold) that is not finished; the first is the next.
        configurations: of this run; the time that others took on the same RUN does not count.
    """
    if plan.time_budget_seconds is None:
        return None
    spent = read_time_spent(run)
    others = set(plan.configurations) - set(configurations)
    of_others = spent.of([stage for stage in spent.seconds if others & set(stage.split())])
    to_do = [
        max(0.0, (plan.configuration(name).training.seconds or 0.0) - spent.of([training_stage(name, fold)]))
        for name, fold in folds_left
    ]
    kept = SHARE_FOR_THE_REPORT * plan.time_budget_seconds + _seconds_of_validation(run, folds_left, spent)
    left = plan.time_budget_seconds - (spent.total - of_others) - kept
    planned = plan.configuration(folds_left[0][0]).training.seconds
    # nothing to share out: only validations are left, or the plan was edited to have no limit
    if sum(to_do) <= max(0.0, left) or planned is None:
        return None
    # a budget that is spent already still gets a model
    return max(LEAST_SHARE * planned, to_do[0] * left / sum(to_do))


def _seconds_of_validation(run: RunFolder, folds_left: Sequence[tuple[str, int]], spent: TimeSpent) -> float:
    """What predicting the validation cases of the folds that are left will take, by those that are finished."""
    seconds = 0.0
    for name in dict.fromkeys(name for name, _ in folds_left):
        folds = range(len(read_splits(run.splits)))
        finished = {fold: done for fold in folds if (done := read_finished(run, name, fold)) is not None}
        took = [spent.of([training_stage(name, fold)]) - done.seconds_training for fold, done in finished.items()]
        # before a fold has finished the plan, which kept time for it, is taken at its word
        each = max(0.0, sum(took) / len(took)) if took else 0.0
        seconds += each * sum(other == name for other, _ in folds_left)
    return seconds


def require_preprocessed(run: RunFolder, plan: Plan, configuration: str, splits: Sequence[Split]) -> None:
    """Refuse to train on cases that are missing or were preprocessed by another plan.

    Raises:
        RunFolderError: names the first such case, and the command that mends it.
    """
    from autoseg.preprocessed import read_record as read_case_record
    from planner.preprocess import follows_plan

    source = plan.preprocessed_as(configuration)
    for case in cases_of(splits):
        folder = run.case(source, case)
        read_case_record(folder)
        if not follows_plan(folder, plan, configuration):
            raise RunFolderError(
                f"{folder}: was preprocessed by another plan than plan.yaml now holds (spacing, orientation, "
                f"normalisation, labels or seed); `autoseg plan-and-preprocess DATASET -o {run.path} "
                f"--config {source}` does it again"
            )


def _refuse_unsound(run: RunFolder, splits: Sequence[Split]) -> None:
    """Refuse folds in `splits.json` that a person replaced since they were last looked at.

    Raises:
        PlanError: a patient would be learned from and judged on, or a case does not exist.
    """
    from planner.splits import check_splits

    if run.dataset.exists():
        check_splits(splits, read_record(run))


def _folds(fold: int | Literal["all"], count: int) -> tuple[int, ...]:
    if fold == "all":
        return tuple(range(count))
    if not 0 <= fold < count:
        raise InputError(f"--fold {fold}: splits.json has folds 0 to {count - 1}")
    return (fold,)
