"""The second stage: folds are trained one after the other, and reported on once all are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from autoseg.commands.budget import FoldTime, training_stage
from autoseg.commands.options import check_threads_and_epochs, configurations_of, existing_run, refuse_models_alone
from autoseg.commands.results import report_if_finished, show_report
from autoseg.errors import InputError, RunFolderError
from autoseg.files import read_model
from autoseg.plan.defaults import DEFAULT_CONFIGURATIONS
from autoseg.plan.plan import Plan, read_plan
from autoseg.run_folder.dataset_record import read_record
from autoseg.run_folder.finished_fold import Finished
from autoseg.run_folder.folds import read_folds
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import settle_plans
from autoseg.run_folder.splits import Split, cases_of, read_splits
from autoseg.run_folder.time_spent import timed
from autoseg.terminal import open_console, parse_duration

if TYPE_CHECKING:
    from trainer.fold import AtOtherPace

AS_PLANNED = FoldTime(None, 0.0)


def train(
    run: Path | str,
    *,
    fold: int | Literal["all"] = "all",
    config: str | Sequence[str] = DEFAULT_CONFIGURATIONS,
    device: str = "auto",
    epochs: int | None = None,
    time_budget: str | float | None = None,
    workers: int | None = None,
    threads: int | None = None,
    follow: Path | str | None = None,
) -> None:
    """Train one fold, or all in turn, going on where an earlier call stopped.

    At its end a fold predicts and evaluates its validation cases. Once all folds of a configuration
    are finished, its report is written.

    Args:
        run: a RUN folder with preprocessed cases; the raw data set is not needed.
        fold: number of the fold, from 0, or `all`; finished ones are left as they are.
        config: configurations to train.
        device: `auto`, `cpu`, `cuda` or `mps`.
        epochs: length of the schedule, instead of the plan's; no clock changes it.
        time_budget: of each fold alone, such as `10m`, or seconds, instead of the plan's.
        workers: processes that draw and augment patches; None chooses by the cores.
        threads: that compute on a CPU; None = as many as other programs leave cores for.
        follow: `finished.json` of a training of this fold, which is repeated with its events: the same
            weights, bit for bit, on the same kind of machine.

    Raises:
        RunFolderError: the run is not planned or preprocessed, the fold is being trained already, or
            a finished one was trained with another split than `splits.json` now holds.
        PlanError: the plan or the folds were edited to something impossible.
        InputError: there is no such fold, or an option is malformed.
    """
    folder = existing_run(run)
    seconds = None if time_budget is None else parse_duration(time_budget)
    check_threads_and_epochs(threads, epochs)
    followed = None if follow is None else _followed(Path(follow), fold, config, (epochs, seconds, threads))
    refuse_models_alone(folder)
    settle_plans(folder)
    plan, splits = read_plan(folder.plan), read_splits(folder.splits)
    folds = _folds(fold, len(splits))
    _refuse_unsound(folder, splits)
    configurations = configurations_of(config)
    for name in configurations:
        read_folds(folder, plan, name, splits)
        require_preprocessed(folder, plan, name, [splits[i] for i in folds])
    for name in configurations:
        for index in folds:
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
        report = report_if_finished(folder, name, len(splits), threads)
        if report is not None:
            show_report(open_console(), report)


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
    """Train a fold to its end; the time counts towards the run.

    Args:
        run: the RUN folder.
        configuration: to train.
        fold: its number.
        device: `auto`, `cpu`, `cuda` or `mps`.
        workers: processes that draw and augment patches; None chooses by the cores.
        threads: that compute on a CPU; None = as many as other programs leave cores for.
        epochs: length of the schedule; None = the plan's.
        seconds: time of the fold; None = the plan's.
        time: of the whole run's budget, that the fold has.
        followed: a training that is repeated, its threads and events.
        at_other_pace: what is done where the first epochs show another pace than planned.

    Raises:
        OtherPace: they do, and that is to be raised.
    """
    # imported within the time that counts: torch takes seconds to load
    with timed(run, training_stage(configuration, fold)):
        from trainer.fold import is_finished, train_fold

        if time.note:
            open_console(stderr=True).print(time.note, highlight=False, markup=False)

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
            threads=threads,
            epochs=epochs,
            seconds=seconds,
            share=time.share,
            pace_before=time.pace,
            left_after=time.left_after,
            follows=followed,
            at_other_pace=at_other_pace,
        )


def _followed(
    path: Path, fold: int | Literal["all"], config: str | Sequence[str], others: Sequence[float | None]
) -> Finished:
    """The training that is to be repeated.

    Args:
        path: its `finished.json`.
        fold: that was asked for.
        config: configurations that were asked for.
        others: values of options that do not go together with it; None = not given.

    Raises:
        InputError: it is of another fold, cannot be repeated, or does not go together with other options.
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
        RunFolderError: names the first such case, and the command that mends it.
    """
    from autoseg.run_folder.preprocessed_case import read_record as read_case_record
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
