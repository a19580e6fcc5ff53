"""`autoseg study`: trains every pair of sequences and input dimension over the same folds, and compares them."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from autoseg.commands.fold_loop import train_folds
from autoseg.commands.messages import say_time
from autoseg.commands.options import Asked, asked
from autoseg.commands.plan_and_preprocess import Prepared, prepare
from autoseg.commands.results import ReportTime
from autoseg.errors import AutosegError, PartialFailure
from autoseg.plan.configuration import Architecture
from autoseg.plan.defaults import DEFAULT_DIMENSIONS
from autoseg.plan.plan import Plan
from autoseg.plan.study_cells import Cell, Grid, cells_in
from autoseg.run_folder.folds import read_folds
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from autoseg.run_folder.stage import Stage
from autoseg.run_folder.time_spent import timed
from autoseg.terminal import open_console

if TYPE_CHECKING:
    from inference.study.results import StudyResults


def study(
    dataset: Path | str,
    output: Path | str,
    *,
    sequences: Sequence[str] | None = None,
    dimensions: Sequence[str] = DEFAULT_DIMENSIONS,
    time_budget: str | float | None = None,
    folds: int | None = None,
    memory: float | None = None,
    device: str = "auto",
    architecture: Architecture | None = None,
    replan: bool = False,
    workers: int | None = None,
    threads: int | None = None,
    epochs: int | None = None,
) -> None:
    """Compare sets of sequences and input dimensions: one network for each, over the same cases and folds.

    Each pair of a set and a dimension is a cell. In the plan it is a configuration with the name
    `SEQUENCES.DIMENSION`. Cells are trained one after the other, each fold by fold; the same call goes on
    where an earlier one stopped. A cell that fails is skipped until the next call, and the others go on.
    Results are in `OUTPUT/study`: `study.html`, `results.csv` and the tables.

    Args:
        dataset: folder in nnU-Net's or the Decathlon's layout, or a `cases.csv` (or its folder).
        output: STUDY folder to create or to go on with; it is a RUN folder.
        sequences: sets of sequences such as `T1`, `T1+T2` and `all`; None = each sequence alone, and all together.
        dimensions: input dimensions: `2d`, `2.5d`, `3d`, `3d_lowres`.
        time_budget: time for the whole study, such as `2h`, or seconds, in equal parts for every fold of
            every cell; None = 40 minutes on a CPU, and on a GPU as long as the reference schedule takes.
        folds: number of folds; None = as many as `splits.json` has, or else five.
        memory: device memory in GB that the plan may use; None = 8.
        device: `auto`, `cpu`, `cuda` or `mps`.
        architecture: architecture of the networks; None = `plain`.
        replan: whether to discard edits of `plan.yaml` and plan again.
        workers: number of cases that are processed at once; None = as many as cores and memory allow.
        threads: number of threads that compute on a CPU; None = as many as other programs leave cores for.
        epochs: number of epochs of every fold. The plan then follows from counted work instead of measured
            steps; if `threads` is given too, the result does not depend on measured time. None = as planned.

    Raises:
        InputError: a set names a sequence that the data set does not have, or an option is malformed.
        AutosegError: under the same conditions as in `plan_and_preprocess`.
        PartialFailure: a cell failed; the results of the others are written.
    """
    grid = Grid(None if sequences is None else tuple(sequences), tuple(dimensions))
    run, console = RunFolder(Path(output)), open_console()
    wanted = asked(time_budget, memory, device, architecture, threads=threads, epochs=epochs)
    prepared = prepare(
        Path(dataset), run, wanted, grid.dimensions, grid=grid, folds=folds, replan=replan, workers=workers
    )
    cells = grid.cells(tuple(channel.name for channel in prepared.plan.channels))
    failures, plan = train_cells(run, prepared, cells, wanted, console=console)
    with timed(run, Stage("study report")):
        from inference.study.write import write_study

        # the page shows all cells of the plan, even if this call asked for some only
        results = write_study(run, cells_in(plan), failures=failures, workers=workers, threads=threads)
    # printed first, so that the results and the path of the page come last
    say_time(console, run, plan)
    print_study(console, results)
    if results.problems:
        raise PartialFailure(
            f"{len(results.problems)} {'part' if len(results.problems) == 1 else 'parts'} of the study failed; "
            f"the others are in {run.study / 'study.html'}, and the same command tries these again\n"
            + "\n".join(results.problems)
        )


def train_cells(
    run: RunFolder, prepared: Prepared, cells: Sequence[Cell], wanted: Asked, *, console: Console
) -> tuple[dict[str, str], Plan]:
    """Train every unfinished fold, cell by cell.

    A fold is left out if none of its training cases, or none of its validation cases, has a sequence of the cell.

    Args:
        run: STUDY folder that holds the plan and the preprocessed cases.
        prepared: the plan, and the data set and fingerprint that it was made from.
        cells: cells of the study whose unfinished folds are trained, in this order.
        wanted: the person's options, of which device, threads and epochs are used here.
        console: console for messages to the user.

    Returns:
        The errors by name of the failed cell; and the plan that now holds, which may have been made again.
    """
    failures: dict[str, str] = {}
    plan = prepared.plan
    left: list[tuple[str, int]] = []
    of_run = read_splits(run.splits)
    for cell in cells:
        try:
            left += [(cell.name, fold) for fold in read_folds(run, plan, cell.name, of_run).possible]
        except AutosegError as error:
            _give_up(cell.name, str(error), failures, console)
    count, validated = len(left), list(dict.fromkeys(name for name, _ in left))
    reports_take = ReportTime(run, validated, pages=1, threads=wanted.threads)

    def begin(name: str, fold: int, still: int) -> None:
        console.print(f"[bold]{name}[/bold], fold {fold}: {count - still + 1} of {count}", highlight=False)

    def failed(name: str, fold: int, error: Exception) -> None:
        if concerns_all(error):
            raise error
        if not isinstance(error, AutosegError):
            console.print("".join(traceback.format_exception(error)), markup=False, highlight=False)
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
    from trainer.stop import TrainingStopped

    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or isinstance(error, TrainingStopped)


def print_study(console: Console, results: StudyResults) -> None:
    """Print the table of mean Dice, a row per set of sequences, a column per dimension; then the path of the page."""
    table = Table("", *results.dimensions, title=f"{results.dataset}: Dice, {results.main_class}")
    for label in results.labels:
        table.add_row(label, *(results.figure(label, dimension, "dice").text for dimension in results.dimensions))
    console.print(table)
    for line in (*results.problems, *results.warnings):
        console.print(line, style="yellow", markup=False, highlight=False)
    if results.synthetic:
        console.print("The images are synthetic: these numbers say nothing about patients.", style="bold")
    console.print(f"Study: {results.folder / 'study.html'}", highlight=False, soft_wrap=True)


def _give_up(name: str, why: str, failures: dict[str, str], console: Console) -> None:
    failures[name] = why
    console.print(f"{name} failed: {why}. The other cells go on.", style="red", markup=False, highlight=False)
