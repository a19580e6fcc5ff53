"""The loop over the folds that are left: each has its share of the time, and the first may lead to another plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console

from autoseg.commands.budget import time_of_next_fold
from autoseg.commands.options import Asked
from autoseg.commands.plan_and_preprocess import Prepared
from autoseg.commands.planning_again import can_plan_again, plan_again
from autoseg.commands.results import ReportTime
from autoseg.commands.train import train_unless_finished
from autoseg.errors import OtherPace
from autoseg.plan.study_cells import Cell
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import edited_fields

Failed = Callable[[str, int, Exception], None]
"""Takes configuration, fold and error; raises what concerns the other configurations too."""


def train_folds(
    run: RunFolder,
    prepared: Prepared,
    folds_left: Sequence[tuple[str, int]],
    configurations: Sequence[str],
    wanted: Asked,
    reports_take: ReportTime,
    *,
    device: str,
    console: Console,
    cells: Sequence[Cell] = (),
    begin: Callable[[str, int, int], None] = lambda name, fold, left: None,
    failed: Failed | None = None,
) -> Prepared:
    """Train every fold that is left, one after the other.

    Args:
        run: the RUN folder, preprocessed.
        prepared: its plan, and what it is made from.
        folds_left: (configuration, fold), in the order in which they are trained.
        configurations: whose time counts towards the budget.
        wanted: threads and epochs that a person fixed.
        reports_take: seconds of the reports at the end.
        device: `auto`, `cpu`, `cuda` or `mps`.
        console: for messages.
        cells: of a study, which keep one network a dimension.
        begin: told before each fold: its configuration, its number, and how many folds are left, itself among them.
        failed: takes what went wrong; the other folds of that configuration are left out then. None = it is raised.

    Returns:
        The plan, which may have been made again, and what it is made from.
    """
    left, edits = list(folds_left), edited_fields(run, prepared.plan)
    while left:
        name, fold = left[0]
        begin(name, fold, len(left))
        plan = prepared.plan
        other_pace: OtherPace | None = None
        time = time_of_next_fold(run, plan, left, configurations, reports_take.seconds(), edits)
        try:
            free = wanted.epochs is None and can_plan_again(run, plan, name, fold, edits, cells)
            train_unless_finished(
                run,
                name,
                fold,
                device=device,
                threads=wanted.threads,
                epochs=wanted.epochs,
                time=time,
                at_other_pace="raise" if free else "go on",
            )
        except OtherPace as found:
            # without the traceback, which would hold the network in the device's memory
            other_pace = found.with_traceback(None)
        except Exception as error:
            if failed is None:
                raise
            failed(name, fold, error)
            left = [(other, index) for other, index in left if other != name]
            continue
        if other_pace is None:
            left.pop(0)
        else:
            prepared = plan_again(
                run, prepared, other_pace, left, configurations, console, threads=wanted.threads, cells=cells
            )
            edits = edited_fields(run, prepared.plan)
    return prepared
