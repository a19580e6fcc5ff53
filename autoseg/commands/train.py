"""`autoseg train`: trains folds one after the other, and writes the report once all folds are finished."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from autoseg.commands.command import command
from autoseg.commands.fold_time import FoldTime
from autoseg.commands.guards import configurations_of, existing_run, refuse_models_alone, require_writable
from autoseg.commands.messages import say_changed_cases, say_notes_on_splits, say_other_device
from autoseg.commands.options import (
    Device,
    Epochs,
    FoldBudget,
    FoldToTrain,
    Follow,
    FollowLinks,
    PatchWorkers,
    PlannedConfigurations,
    PreprocessedRun,
    Threads,
)
from autoseg.commands.printed_results import report_if_finished, show_report
from autoseg.errors import InputError, RunFolderError
from autoseg.files import read_model
from autoseg.machine.launcher import leads_launch, rank_of_launcher
from autoseg.plan.plan import Plan, read_plan
from autoseg.results import TrainedFold, TrainingResults
from autoseg.run_folder.dataset_record import read_record
from autoseg.run_folder.finished_fold import Finished, read_finished_folds
from autoseg.run_folder.folds import read_folds
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import settle_plans
from autoseg.run_folder.splits import Split, cases_of, read_splits
from autoseg.run_folder.time_spent import timed
from autoseg.run_folder.timed_stage import Stage
from autoseg.terminal import open_console, parse_duration
from autoseg.work.tries import tried
from autoseg.work.units import train_unit

if TYPE_CHECKING:
    from autoseg.metrics.summary import Summary
    from trainer.pace import AtOtherPace

AS_PLANNED = FoldTime(None, 0.0)


@command
def train(
    run: PreprocessedRun,
    *,
    fold: FoldToTrain = "all",
    config: PlannedConfigurations = None,
    device: Device = "auto",
    epochs: Epochs = None,
    time_budget: FoldBudget = None,
    workers: PatchWorkers = None,
    threads: Threads = None,
    follow: Follow = None,
    follow_links: FollowLinks = False,
) -> TrainingResults:
    """Train one fold, or all in turn; stopped or killed, the same command goes on.

    After its training, a fold predicts and evaluates its validation cases. Once all folds of a configuration
    are finished, its report is written.

    Returns:
        Time and validation Dice of each fold; a table in a notebook.

    Raises:
        RunFolderError: the run is not planned or preprocessed, another process trains the fold, or
            a finished fold was trained with another split than `splits.json` now holds.
        PlanError: the plan or the folds were edited to something impossible.
        InputError: there is no such fold, or an option is malformed.
    """
    folder = existing_run(run, follow_links=follow_links)
    require_writable(folder.path)
    seconds = None if time_budget is None else parse_duration(time_budget)
    followed = None if follow is None else _followed(Path(follow), fold, config, (epochs, seconds, threads))
    refuse_models_alone(folder)
    settle_plans(folder)
    plan, splits = read_plan(folder.plan), read_splits(folder.splits)
    folds = _folds(fold, len(splits))
    _check_own_folds(folder, splits)
    configurations = configurations_of(config, plan)
    if rank_of_launcher() is not None and len(folds) * len(configurations) > 1:
        raise InputError("torchrun trains one fold at a time: give --fold with its number, and one configuration")
    for name in configurations:
        read_folds(folder, plan, name, splits)
        require_preprocessed(folder, plan, name, [splits[i] for i in folds])
    warnings = open_console(stderr=True)
    say_changed_cases(warnings, folder, plan, configurations)
    say_other_device(warnings, folder, plan, _kind(device))
    reports: dict[str, Summary] = {}
    for name in configurations:
        for index in folds:
            with recorded(folder, name, index):
                train_unless_finished(
                    folder,
                    name,
                    index,
                    device=device,
                    workers=workers,
                    threads=threads,
                    epochs=epochs,
                    seconds=seconds,
                    followed=followed,
                    at_other_pace="tell",
                )
        report = report_if_finished(folder, name, len(splits), threads) if leads_launch() else None
        if report is not None:
            show_report(open_console(), report)
            reports[name] = report.summary
    done = ((name, read_finished_folds(folder, name, folds)) for name in configurations)
    trained = (TrainedFold(name, index, finished) for name, of_fold in done for index, finished in of_fold.items())
    return TrainingResults(folder, tuple(trained), reports)


def train_unless_finished(
    run: RunFolder,
    configuration: str,
    fold: int,
    *,
    device: str,
    workers: int | None = None,
    threads: int | None = None,
    epochs: int | None = None,
    seconds: float | None = None,
    time: FoldTime = AS_PLANNED,
    followed: Finished | None = None,
    at_other_pace: AtOtherPace = "go on",
) -> None:
    """Train a fold to its end, and add the time to that of the run; a finished fold is left as it is.

    Args:
        run: RUN folder that holds the plan and the preprocessed cases.
        configuration: name of the configuration.
        fold: number of the fold, from 0.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        workers: number of processes that draw and augment patches; None = by the number of cores.
        threads: number of threads that compute on a CPU; None = as many as other programs leave cores for.
        epochs: number of epochs; None = as planned.
        seconds: training time in seconds; None = as planned.
        time: training time that the fold gets from the run's time budget.
        followed: earlier training of this fold that is repeated with its threads and events; None = a new training.
        at_other_pace: what happens if the first epochs are far slower or faster than planned: nothing, a message, or
            an error.

    Raises:
        OtherPace: the first epochs are far slower or faster than planned, and `at_other_pace` is `raise`.
    """
    # processes that train a fold together take the time once; torch takes seconds to load inside of it
    with timed(run, Stage("train", configuration, fold), shared=True) if leads_launch() else nullcontext():
        from trainer.fold import train_fold

        if time.note:
            open_console(stderr=True).print(time.note)

        if run.is_finished(configuration, fold):
            open_console(stderr=True).print(
                f"{configuration}, fold {fold}: finished; delete {run.fold(configuration, fold)} to train it anew",
            )
            return
        train_fold(
            run,
            configuration,
            fold,
            device=device,
            workers=workers,
            threads=threads,
            epochs=epochs,
            seconds=seconds,
            seconds_from_now=time.training_seconds,
            pace_before=time.pace,
            left_after=time.left_after,
            follows=followed,
            at_other_pace=at_other_pace,
        )


def recorded(run: RunFolder, configuration: str, fold: int) -> AbstractContextManager[None]:
    """Context manager that records the training of a fold as a try of its unit, for `autoseg status`."""
    if run.is_finished(configuration, fold) or not leads_launch():
        return nullcontext()
    return tried(run, train_unit(configuration, fold))


def _kind(device: str) -> str:
    """Type of the device that a name stands for: `cpu`, `cuda` or `mps`."""
    from autoseg.machine.device import resolve_device

    return resolve_device(device).type


def _followed(
    path: Path, fold: int | Literal["all"], config: str | Sequence[str] | None, others: Sequence[float | None]
) -> Finished:
    """Read the training that is to be repeated.

    Args:
        path: `finished.json` of that training.
        fold: fold that the person asked for.
        config: configurations that the person asked for.
        others: values of the options that exclude `--follow`; None = option not given.

    Raises:
        InputError: the file is missing or of another fold, the training cannot be repeated, or an option excludes it.
        RunFolderError: the file is malformed.
    """
    if any(option is not None for option in others) or len(configurations_of(config)) > 1:
        raise InputError(
            "--follow repeats one training as it was: leave --epochs, --time-budget and --threads out, and name one "
            "configuration"
        )
    finished = read_model(path, Finished, "give the finished.json of a fold")
    if finished is None:
        raise InputError(f"--follow {path}: does not exist; give the finished.json of a fold")
    if any(event.kind == "restored" for event in finished.events):
        raise InputError(f"--follow {path}: this training collapsed on the way; such a one cannot be repeated")
    if fold != finished.fold:
        raise InputError(f"--follow {path}: is of fold {finished.fold}; add --fold {finished.fold}")
    return finished


def require_preprocessed(run: RunFolder, plan: Plan, configuration: str, splits: Sequence[Split]) -> None:
    """Refuse to train on cases that are missing or were preprocessed by another plan.

    Raises:
        RunFolderError: there is such a case; the message names the first one and the command that repairs it.
    """
    from autoseg.run_folder.preprocessed_case import read_record as read_case_record
    from planner.preprocess import follows_plan

    source = plan.preprocessed_as(configuration)
    for case in cases_of(splits):
        folder = run.case(source, case)
        read_case_record(folder)
        if not follows_plan(folder, plan, configuration):
            raise RunFolderError(
                f"{folder}: was preprocessed by another plan than plan.yaml now holds (region, spacing, "
                f"orientation, normalisation, labels or seed); `autoseg plan-and-preprocess DATASET -o {run.path} "
                f"--config {source}` does it again"
            )


def _check_own_folds(run: RunFolder, splits: Sequence[Split]) -> None:
    """Refuse folds in `splits.json` that do not fit the data set, and say what is unusual in a person's own folds.

    Raises:
        PlanError: a patient is in both training and validation cases of a fold, or a case does not exist.
    """
    from planner.splits import check_splits

    if run.dataset.exists():
        record = read_record(run)
        check_splits(splits, record)
        say_notes_on_splits(open_console(stderr=True), run, splits, record)


def _folds(fold: int | Literal["all"], count: int) -> tuple[int, ...]:
    if fold == "all":
        return tuple(range(count))
    if not 0 <= fold < count:
        raise InputError(f"--fold {fold}: splits.json has folds 0 to {count - 1}")
    return (fold,)
