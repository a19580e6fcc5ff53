"""`autoseg study`: trains every pair of sequences and input dimension over the same folds, and compares them."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from autoseg.commands.asked_here import names_of_devices, told_to_others, written_once_planned
from autoseg.commands.command import command
from autoseg.commands.fold_loop import train_folds
from autoseg.commands.give_to_engine import give_to_engine
from autoseg.commands.messages import say_changed_cases, say_time
from autoseg.commands.options import (
    Align,
    Architecture,
    AtOnce,
    Ct,
    DatasetFolder,
    Device,
    Devices,
    DryRun,
    Engine,
    Epochs,
    FoldCount,
    FollowLinks,
    Insecure,
    Memory,
    PixelSize,
    Replan,
    Retries,
    SlurmOptions,
    StudyBudget,
    StudyDimensions,
    StudySequences,
    StudyToMake,
    Threads,
    TrustTimes,
    Workers,
)
from autoseg.commands.plan_options import PlanOptions, check_plan_options
from autoseg.commands.preparation import PreparedRun, prepare, source_of
from autoseg.commands.printed_results import ReportTime
from autoseg.commands.printed_study import failed_parts, print_study
from autoseg.commands.raw_data import pixel_size
from autoseg.dataset.fingerprint import is_of_slices
from autoseg.errors import AutosegError, InputError
from autoseg.plan.plan import Plan
from autoseg.plan.study_cells import Cell, cells_in
from autoseg.run_folder.folds import read_folds
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from autoseg.run_folder.time_spent import timed
from autoseg.run_folder.timed_stage import Stage
from autoseg.terminal import open_console, styled
from autoseg.work.engine import asked_of
from autoseg.work.request import request_of
from autoseg.work.study_scope import AskedGrid
from autoseg.work.tries import STUDY, tried

if TYPE_CHECKING:
    from inference.study.results import StudyResults


@command
def study(
    dataset: DatasetFolder,
    output: StudyToMake,
    *,
    sequences: StudySequences = None,
    dimensions: StudyDimensions = None,
    ct: Ct = None,
    spacing: PixelSize = None,
    align: Align = None,
    time_budget: StudyBudget = None,
    folds: FoldCount = None,
    memory: Memory = None,
    device: Device = "auto",
    devices: Devices = None,
    architecture: Architecture = None,
    replan: Replan = False,
    workers: Workers = None,
    threads: Threads = None,
    epochs: Epochs = None,
    trust_times: TrustTimes = False,
    follow_links: FollowLinks = False,
    engine: Engine = "local",
    retries: Retries = None,
    at_once: AtOnce = None,
    slurm_option: SlurmOptions = None,
    dry_run: DryRun = False,
    insecure: Insecure = False,
) -> StudyResults | None:
    """Compare sequences and input dimensions: one network for each, over the same cases and folds.

    Each pair of a set of sequences and a dimension is a cell, in the plan a configuration SEQUENCES.DIMENSION. Cells
    are trained one after the other, each fold by fold, or folds side by side on several --devices; stopped or killed,
    the same command goes on. A cell that fails is skipped until the next call, and the exit status is then 1. Results
    are in STUDY/study: study.html, results.csv and the tables.

    With --engine slurm or ray, the work is divided into units that any machine does which sees DATASET and STUDY under
    the same paths; see docs/cluster.md.

    Returns:
        The figures of every cell; a table in a notebook. None where other processes do the work.

    Raises:
        InputError: a set names a sequence that the data set does not have, or an option is malformed.
        AutosegError: under the same conditions as in `plan_and_preprocess`.
        PartialFailure: a cell failed; the results of the others are written.
    """
    asked_grid = AskedGrid(
        sequences=None if sequences is None else tuple(sequences),
        dimensions=None if dimensions is None else tuple(dimensions),
    )
    grid, run, console = asked_grid.grid, RunFolder(Path(output)), open_console()
    asked = asked_of(
        engine,
        retries=retries,
        slurm_options=slurm_option,
        dry_run=dry_run,
        insecure=insecure,
        at_once=at_once,
    )
    here = asked.engine == "local"
    wanted = check_plan_options(
        time_budget,
        memory,
        device,
        architecture,
        devices=devices,
        threads=threads,
        epochs=epochs,
        align=align,
        elsewhere=not here,
    )
    request = request_of(
        dataset=told_to_others(dataset),
        grid=asked_grid,
        folds=folds,
        ct=None if ct is None else tuple(ct),
        spacing=pixel_size(spacing),
        align=align,
        time_budget=wanted.budget,
        memory=memory,
        device=device,
        devices=names_of_devices(devices),
        architecture=architecture,
        workers=workers,
        threads=threads,
        epochs=epochs,
        selects=False,
        trust_times=trust_times,
        follow_links=follow_links,
    )
    if not here:
        if replan:
            raise InputError("--replan: is for --engine local; use a new STUDY folder, or leave --engine out")
        give_to_engine(run, request, asked)
        return None
    write_down = written_once_planned(run, request, wanted)
    prepared = prepare(
        source_of(dataset),
        run,
        wanted,
        (),
        ct=ct,
        spacing=spacing,
        grid=grid,
        folds=folds,
        replan=replan,
        workers=workers,
        trust_times=trust_times,
        follow_links=follow_links,
        # the cells follow from the grid and the plan
        write_down=write_down,
    )
    channels = tuple(channel.name for channel in prepared.plan.channels)
    cells = grid.cells(channels, slices_alone=is_of_slices(prepared.fingerprint))
    failures, plan = train_cells(run, prepared, cells, wanted, console=console)
    with tried(run, STUDY), timed(run, Stage("study report")):
        from inference.study.write import write_study

        # the page shows all cells of the plan, even if this call asked for some only
        results = write_study(run, cells_in(plan), failures=failures, workers=workers, threads=threads)
    # printed first, so that the results and the path of the page come last
    say_time(console, run, plan)
    print_study(console, results)
    if results.problems:
        raise failed_parts(run, results.problems)
    return results


def train_cells(
    run: RunFolder, prepared: PreparedRun, cells: Sequence[Cell], wanted: PlanOptions, *, console: Console
) -> tuple[dict[str, str], Plan]:
    """Train every unfinished fold, cell by cell.

    A fold is left out if none of its training cases, or none of its validation cases, has a sequence of the cell.

    Args:
        run: STUDY folder that holds the plan and the preprocessed cases.
        prepared: the plan, and the data set and fingerprint that it was made from.
        cells: cells of the study whose unfinished folds are trained, in this order.
        wanted: the person's options, of which device, devices, threads and epochs are used here.
        console: console for messages to the user.

    Returns:
        The errors by name of the failed cell; and the plan that now holds, which may have been made again.
    """
    failures: dict[str, str] = {}
    plan = prepared.plan
    left: list[tuple[str, int]] = []
    of_run = read_splits(run.splits)
    say_changed_cases(console, run, plan, [cell.name for cell in cells])
    for cell in cells:
        try:
            left += [(cell.name, fold) for fold in read_folds(run, plan, cell.name, of_run).possible]
        except AutosegError as error:
            _give_up(cell.name, str(error), failures, console)
    count, validated = len(left), list(dict.fromkeys(name for name, _ in left))
    reports_take = ReportTime(run, validated, pages=1, threads=wanted.threads)

    def begin(name: str, fold: int, still: int) -> None:
        console.print(styled("bold", name, f", fold {fold}: {count - still + 1} of {count}"))

    def failed(name: str, fold: int, error: Exception) -> None:
        if concerns_all(error):
            raise error
        if not isinstance(error, AutosegError):
            console.print("".join(traceback.format_exception(error)))
        _give_up(name, f"fold {fold}: {error or type(error).__name__}", failures, console)

    # the time of every configuration counts, since cells share their preprocessed cases
    everything = tuple(plan.configurations)
    prepared = train_folds(
        run,
        prepared,
        left,
        everything,
        wanted,
        reports_take,
        console=console,
        cells=cells_in(plan),
        begin=begin,
        failed=failed,
    )
    return failures, prepared.plan


def concerns_all(error: Exception) -> bool:
    """Whether an error would stop the other cells too: the person stopped the training, or the disk is full."""
    from trainer.stop_request import TrainingStopped

    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or isinstance(error, TrainingStopped)


def _give_up(name: str, why: str, failures: dict[str, str], console: Console) -> None:
    failures[name] = why
    console.print(f"{name} failed: {why}. The other cells go on.", style="red")
