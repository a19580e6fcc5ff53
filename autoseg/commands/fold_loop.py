"""The loop that trains the unfinished folds of a run, one after the other, or side by side on several devices.

Each fold gets its share of the time budget. If the first fold runs at another pace than planned, the plan is made
again; folds side by side have all begun by then, so that their schedules follow the pace instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from autoseg.commands.fold_time import time_of_next_fold
from autoseg.commands.messages import say_other_devices
from autoseg.commands.plan_options import PlanOptions
from autoseg.commands.planning_again import can_plan_again, plan_again
from autoseg.commands.preparation import PreparedRun
from autoseg.commands.printed_results import ReportTime
from autoseg.commands.train import recorded, train_unless_finished
from autoseg.errors import OtherPace
from autoseg.machine.stop_answer import raise_if_stopped
from autoseg.plan.study_cells import Cell
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import edited_fields

if TYPE_CHECKING:
    from autoseg.commands.side_by_side import Failed


def train_folds(
    run: RunFolder,
    prepared: PreparedRun,
    folds_left: Sequence[tuple[str, int]],
    configurations: Sequence[str],
    wanted: PlanOptions,
    reports_take: ReportTime,
    *,
    console: Console,
    cells: Sequence[Cell] = (),
    begin: Callable[[str, int, int], None] = lambda name, fold, left: None,
    failed: Failed | None = None,
) -> PreparedRun:
    """Train every fold that is left, one after the other, or as many at a time as there are devices.

    Args:
        run: RUN folder that holds the plan and the preprocessed cases.
        prepared: the plan, and the data set and fingerprint that it was made from.
        folds_left: (configuration, fold) of every unfinished fold, in the order of training.
        configurations: configurations whose time counts towards the time budget.
        wanted: the person's options, of which device, devices, threads and epochs are used here.
        reports_take: estimate of the seconds that the reports at the end take.
        console: console for messages to the user.
        cells: cells of the study; all cells of one dimension share a network. Empty where the run is no study.
        begin: called before each fold with its configuration, its number, and the number of folds left with it.
        failed: called with the error of a fold; the other folds of its configuration are then skipped.
            None = the error is raised; of folds side by side, once all others have ended.

    Raises:
        PartialFailure: of folds side by side some failed, and `failed` is None.

    Returns:
        The input with the plan that now holds, which may have been made again.
    """
    if folds_left:
        say_other_devices(console, prepared.plan, wanted.count)
    if folds_left and wanted.devices:
        from autoseg.commands.side_by_side import SideBySide

        side_by_side = SideBySide(
            run, prepared.plan, configurations, wanted, reports_take, console, begin=begin, failed=failed
        )
        side_by_side.train(folds_left)
        return prepared
    left, edits = list(folds_left), edited_fields(run, prepared.plan)
    while left:
        name, fold = left[0]
        begin(name, fold, len(left))
        plan = prepared.plan
        other_pace: OtherPace | None = None
        time = time_of_next_fold(run, plan, left, configurations, reports_take.seconds(), edits)
        try:
            free = wanted.epochs is None and can_plan_again(run, plan, name, fold, edits, cells)
            with recorded(run, name, fold):
                train_unless_finished(
                    run,
                    name,
                    fold,
                    device=wanted.device_name,
                    threads=wanted.threads,
                    epochs=wanted.epochs,
                    time=time,
                    at_other_pace="raise" if free else "go on",
                )
        except OtherPace as found:
            # the traceback would keep the network in the device's memory
            other_pace = found.with_traceback(None)
        except Exception as error:
            raise_if_stopped(error)
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
