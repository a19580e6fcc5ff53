"""All stages with one command; the phantom and the demonstration; copies of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autoseg.commands.budget import time_of_next_fold
from autoseg.commands.messages import say_time
from autoseg.commands.options import asked, check_threads_and_epochs, configurations_of
from autoseg.commands.planning import prepare
from autoseg.commands.planning_again import can_plan_again, plan_again
from autoseg.commands.results import ReportTime, report_if_finished, show_report
from autoseg.commands.training import require_preprocessed, train_unless_finished
from autoseg.errors import OtherPace
from autoseg.plan.configuration import Architecture
from autoseg.plan.defaults import DEFAULT_CONFIGURATIONS, DEMO_BUDGET
from autoseg.run_folder.copies import copy_run
from autoseg.run_folder.finished import refuse_other_splits
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import edited_fields
from autoseg.run_folder.splits import read_splits
from autoseg.run_folder.taking_part import splits_of
from autoseg.terminal import open_console

SYNTHETIC_NAME = "synthetic_spine"
"""Folder of the demonstration's data set, by which reports call it."""

SYNTHETIC = (
    "The demonstration's data are synthetic: autoseg draws them itself, no patient is in them. "
    "Its numbers say that the software works, and nothing about patients."
)


def run(
    dataset: Path | str,
    output: Path | str,
    *,
    config: str | Sequence[str] = DEFAULT_CONFIGURATIONS,
    time_budget: str | float | None = None,
    memory: float | None = None,
    device: str = "auto",
    architecture: Architecture | None = None,
    replan: bool = False,
    workers: int | None = None,
    threads: int | None = None,
    epochs: int | None = None,
) -> None:
    """Everything: check, plan, preprocess, train every fold, predict each case by the fold that did not see it, report.

    The same call goes on where an earlier one stopped. Only training cases are used.

    Args:
        dataset: folder in nnU-Net's or the Decathlon's layout, or a `cases.csv` (or its folder).
        output: the RUN folder.
        config: configurations to train: `2d`, `2.5d`, `3d`, `3d_lowres`.
        time_budget: for all of it, such as `40m`, or seconds; None = 40 minutes on a CPU, and on a
            GPU as long as the reference schedule takes.
        memory: memory target in GB; None = 8.
        device: `auto`, `cpu`, `cuda` or `mps`.
        architecture: None = `plain`.
        replan: discard edits of `plan.yaml` and plan again.
        workers: cases worked on at once; None = as many as cores and memory allow.
        threads: that compute on a CPU; None = as many as other programs leave cores for.
        epochs: length of every fold's schedule. The plan is then made from counted work instead of measured
            steps; with `threads` no clock touches a bit of the result.

    Raises:
        AutosegError: as `plan_and_preprocess` and `train`.
    """
    configurations = configurations_of(config)
    folder, console = RunFolder(Path(output)), open_console()
    wanted = asked(time_budget, memory, device, architecture, threads=threads, epochs=epochs)
    prepared = prepare(Path(dataset), folder, wanted, configurations, replan=replan, workers=workers)
    plan, splits = prepared.plan, read_splits(folder.splits)
    for name in configurations:
        refuse_other_splits(folder, name, splits_of(folder, plan, name, splits))
        require_preprocessed(folder, plan, name, splits)
    left = [(name, fold) for name in configurations for fold in range(len(splits))]
    left = [(name, fold) for name, fold in left if not folder.finished(name, fold).exists()]
    reports_take, edits = ReportTime(folder, configurations, threads=threads), edited_fields(folder, plan)
    while left:
        name, fold = left[0]
        time = time_of_next_fold(folder, plan, left, configurations, reports_take.seconds(), edits)
        free = epochs is None and can_plan_again(folder, plan, name, fold, edits)
        other_pace = None
        try:
            train_unless_finished(
                folder,
                name,
                fold,
                device=device,
                threads=threads,
                epochs=epochs,
                time=time,
                at_other_pace="raise" if free else "go on",
            )
        except OtherPace as found:
            # without the traceback, which would hold the network in the device's memory
            other_pace = found.with_traceback(None)
        if other_pace is None:
            left.pop(0)
        else:
            prepared = plan_again(folder, prepared, other_pace, left, configurations, console, threads=threads)
            plan, edits = prepared.plan, edited_fields(folder, prepared.plan)
    reports = [report_if_finished(folder, name, len(splits), threads) for name in configurations]
    # first, so that the results and the report's path stand last
    say_time(console, folder, plan)
    for report in reports:
        if report is not None:
            show_report(console, report)


def phantom(
    output: Path | str,
    *,
    cases: int = 40,
    seed: int = 0,
    kind: str = "spine",
    missing: float | None = None,
    workers: int | None = None,
    threads: int | None = None,
) -> Path:
    """Draw a synthetic spine data set with metastases, in the layout of a table.

    Args:
        output: folder to make.
        cases: how many.
        seed: the same gives the same data.
        kind: `spine`, or `small`: thick slices, small metastases alone, 0.1 % of the voxels.
        missing: share of the cases that lack each sequence, from 0 to 0.5; None = every fourth case lacks one.
        workers: processes; None = as many as cores and memory allow.
        threads: at most so many processes; None = no such limit.

    Returns:
        The folder, which holds `cases.csv`.

    Raises:
        InputError: the folder is not empty, or a number makes no sense.
    """
    from autoseg.synthetic_spine.write import make_phantom

    check_threads_and_epochs(threads)
    return make_phantom(
        Path(output), cases=cases, seed=seed, kind=kind, missing=missing, workers=workers, threads=threads
    )


def demo(
    output: Path | str = "demo",
    *,
    cases: int = 40,
    time_budget: str | float = DEMO_BUDGET,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Draw the phantom and take it through the whole path.

    Args:
        output: folder to make; gets `synthetic_spine` and `run`. The same call goes on where one stopped.
        cases: how many to draw.
        time_budget: for the run.
        device: `auto`, `cpu`, `cuda` or `mps`.
        threads: that compute on a CPU; None = as many as other programs leave cores for.
    """
    console = open_console()
    console.print(f"[bold]{SYNTHETIC}[/bold]")
    folder = Path(output)
    if not (folder / SYNTHETIC_NAME / "cases.csv").exists():
        phantom(folder / SYNTHETIC_NAME, cases=cases, threads=threads)
    run(folder / SYNTHETIC_NAME, folder / "run", time_budget=time_budget, device=device, threads=threads)


def copy(run: Path | str, output: Path | str, *, models_only: bool = False) -> None:
    """Copy a RUN folder, whole or only what predicting needs.

    Args:
        run: the RUN folder.
        output: the copy; must not exist, or be empty.
        models_only: leave out everything with patients in it: images, labels, predictions, names of
            cases and files.

    Raises:
        RunFolderError: there is no run, no model in it, or `output` is not empty.
    """
    copy_run(RunFolder(Path(run)), Path(output), models_only=models_only)
