"""Gives a run to an engine: writes down what was asked for, and hands over the units; nothing is computed here."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from autoseg.commands.do_unit import plan_options_of
from autoseg.commands.guards import require_run_or_empty
from autoseg.commands.make_folds import refuse_other_number
from autoseg.commands.plan_options import refuse_other_plan
from autoseg.commands.preparation import refuse_other_cells
from autoseg.dataset.case import Dataset
from autoseg.dataset.fingerprint import is_of_slices, read_fingerprint
from autoseg.errors import DatasetError, ImageError, InputError
from autoseg.plan.bounds import MOST_DEVICES
from autoseg.plan.defaults import DEFAULT_CONFIGURATIONS, DEFAULT_FOLDS, SLICES_ALONE
from autoseg.plan.plan import read_plan
from autoseg.plan.study_cells import Cell
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from autoseg.terminal import open_console
from autoseg.work.engine import Asked, check_engine, give_units
from autoseg.work.request import Request, write_request
from autoseg.work.state import units_left
from autoseg.work.study_scope import AskedGrid

CASES_A_PART, MOST_PARTS = 10, 16
"""Cases of a part of the preparation at least, so that its start is a small share, and most parts."""


@dataclass(frozen=True)
class Sizes:
    """What decides the number of units before there is a plan.

    Args:
        folds: number of folds of each configuration.
        configurations: names of the configurations.
        cases: number of cases in the data set.
    """

    folds: int
    configurations: tuple[str, ...]
    cases: int


def give_to_engine(run: RunFolder, request: Request, asked: Asked) -> None:
    """Write down what was asked for, and give the units that are not done to the engine.

    Args:
        run: RUN folder on a file system that every machine sees under the same path.
        request: what was asked of `autoseg run` or `autoseg study`; what is left open in it is found here.
        asked: the engine and its options.

    Raises:
        InputError: the engine is not at hand, or the data set is a table in memory.
        DatasetError: the data set cannot be read.
        RunFolderError: the folder holds other files.
    """
    if request.dataset is None:
        raise InputError(f"--engine {asked.engine}: a table in memory is not on other machines; give a path, in UTF-8")
    if request.devices is not None:
        raise InputError("--devices: names devices of this machine, for --engine local; leave it out")
    require_run_or_empty(run, follow_links=request.follow_links)
    check_engine(run, asked)
    if run.plan.exists():
        refuse_other_plan(run, plan_options_of(request), read_plan(run.plan), request.configurations)
    sizes = sizes_of(run, Path(request.dataset), request.configurations, grid=request.grid, folds=request.folds)
    whole = request.changed(
        configurations=sizes.configurations,
        folds=sizes.folds,
        parts=max(1, min(MOST_PARTS, sizes.cases // CASES_A_PART)),
        # where the clock decides nothing, the plan is that of any other engine
        at_once=1 if request.epochs else min(MOST_DEVICES, sizes.folds * len(sizes.configurations)),
    )
    # the units follow from what is written down
    write_request(run, whole)
    console, place = open_console(stderr=True), shlex.quote(str(run.path))
    console.print(
        f"What was asked for is in {run.request}; `autoseg status {place}` shows the units of work", soft_wrap=True
    )
    if request.grid is not None and whole.at_once > 1 and _has_time_limit(request):
        console.print(
            f"Each fold gets its time as if {whole.at_once} folds were trained at once. Where fewer are, the later "
            "ones get less, and cells cannot be compared; with --epochs every fold has the same number of steps.",
            style="yellow",
            soft_wrap=True,
        )
    if not units_left(run):
        console.print("Every unit of work is done; nothing is sent.")
        return
    scripts = give_units(run, asked)
    if scripts is not None:
        print(scripts)


def _has_time_limit(request: Request) -> bool:
    """Whether a time budget holds, or may hold, as it does on a CPU where nobody names one."""
    return request.time_budget is not None or request.device in ("auto", "cpu")


def sizes_of(
    run: RunFolder,
    path: Path,
    configurations: tuple[str, ...],
    *,
    grid: AskedGrid | None = None,
    folds: int | None = None,
) -> Sizes:
    """Find out how many units there will be, from the names and headers of the data set's files.

    Args:
        run: RUN folder, which may hold a plan.
        path: raw data set.
        configurations: names of the configurations; empty = the default, or the cells of the grid.
        grid: grid of a study; None = the run is no study.
        folds: number of folds; None = as many as `splits.json` has, or else five.

    Raises:
        DatasetError: the data set cannot be read, or has one patient alone.
        InputError: the data set does not have a sequence of the grid.
        RunFolderError: the RUN folder has other cells, or another number of folds.
    """
    from autoseg.dataset.read import read_dataset
    from planner.splits import number_of_folds

    dataset = read_dataset(path)
    if dataset.problems:
        raise DatasetError(dataset.problems)
    if run.splits.exists():
        there = read_splits(run.splits)
        refuse_other_number(run, there, dataset, folds)
        count = len(there)
    else:
        count = number_of_folds(dataset, folds or DEFAULT_FOLDS).value
    names = configurations
    if grid is not None:
        names = tuple(cell.name for cell in _cells_of(run, dataset, grid))
    return Sizes(count, names or _default(dataset), len(dataset.cases))


def _cells_of(run: RunFolder, dataset: Dataset, grid: AskedGrid) -> tuple[Cell, ...]:
    """The cells of a study; before there is a plan, whether images are single slices is seen by one of them."""
    if not run.plan.exists():
        return grid.grid.cells(dataset.channels, slices_alone=_default(dataset) == SLICES_ALONE)
    slices_alone = is_of_slices(read_fingerprint(run.fingerprint))
    cells = grid.grid.cells(dataset.channels, slices_alone=slices_alone)
    refuse_other_cells(run, read_plan(run.plan), cells)
    return cells


def _default(dataset: Dataset) -> tuple[str, ...]:
    """The configurations that are planned where nobody names any: 2D ones alone for images of one slice."""
    from autoseg.image.image import read_geometry

    for case in dataset.cases:
        image = case.first_image
        try:
            if image is not None:
                return SLICES_ALONE if min(read_geometry(image)[0].shape) == 1 else DEFAULT_CONFIGURATIONS
        except ImageError:
            # the unit that plans tells what is wrong with it
            continue
    return DEFAULT_CONFIGURATIONS
