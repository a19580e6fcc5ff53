"""Gives a run to an engine: writes down what was asked for, and hands over the units; nothing is computed here."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from autoseg.commands.do_unit import plan_options_of
from autoseg.commands.guards import require_run_or_empty
from autoseg.commands.make_folds import refuse_other_number
from autoseg.commands.messages import CASES_NAMED, say_changed_cases
from autoseg.commands.plan_options import refuse_other_plan
from autoseg.commands.preparation import refuse_other_cells
from autoseg.commands.raw_data import changed_since_planned, pixel_size
from autoseg.dataset.case import Dataset
from autoseg.dataset.fingerprint import is_of_slices, read_fingerprint
from autoseg.errors import DatasetError, ImageError, InputError
from autoseg.files import write_text
from autoseg.names import listed
from autoseg.plan.bounds import MOST_DEVICES
from autoseg.plan.defaults import DEFAULT_CONFIGURATIONS, DEFAULT_FOLDS, SLICES_ALONE
from autoseg.plan.plan import read_plan
from autoseg.plan.study_cells import Cell
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.predictions_folder import WorkFolder
from autoseg.run_folder.splits import read_splits
from autoseg.terminal import open_console
from autoseg.work.at_work import refuse_if_at_work, refuse_other_request
from autoseg.work.engine import Asked, check_engine, give_units, giving, require_at_hand, scripts_of_units
from autoseg.work.request import Request, unmeasured_parts, write_request
from autoseg.work.state import units_left
from autoseg.work.study_scope import AskedGrid
from autoseg.work.units import units_of

NOTHING_LEFT = "Every unit of work is done; nothing is sent."


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
    """Write down what was asked for, and give the units that are not done to the engine; a dry run prints both.

    Whether the data set is as it was planned for is looked at by paths, sizes and times of its files.

    Args:
        run: RUN folder on a file system that every machine sees under the same path.
        request: what was asked of `autoseg run` or `autoseg study`; what is left open in it is found here.
        asked: the engine and its options.

    Raises:
        InputError: the engine is not at hand, or the data set is a table in memory.
        DatasetError: the data set cannot be read.
        RunFolderError: the folder holds other files, or units of an earlier request wait or run.
    """
    if request.dataset is None:
        raise InputError(f"--engine {asked.engine}: a table in memory is not on other machines; give a path, in UTF-8")
    if request.devices is not None:
        raise InputError("--devices: names devices of this machine, for --engine local; leave it out")
    if asked.at_once is not None and request.epochs is not None:
        raise InputError(
            "--at-once: shares out a time budget; with --epochs every fold has its length, so leave it out"
        )
    require_run_or_empty(run, follow_links=request.follow_links)
    check_engine(run, asked)
    if run.plan.exists():
        refuse_other_plan(run, plan_options_of(request), read_plan(run.plan), request.configurations)
    path = Path(request.dataset)
    sizes = sizes_of(run, path, request.configurations, grid=request.grid, folds=request.folds)
    changed = _changed(run, path, request)
    whole = request.changed(
        configurations=sizes.configurations,
        folds=sizes.folds,
        parts=unmeasured_parts(sizes.cases),
        # where the clock decides nothing, the plan is that of any other engine
        at_once=1 if request.epochs else min(asked.at_once or MOST_DEVICES, sizes.folds * len(sizes.configurations)),
    )
    console = open_console(stderr=True)
    if run.plan.exists() and not changed:
        plan = read_plan(run.plan)
        say_changed_cases(console, run, plan, [name for name in sizes.configurations if name in plan.configurations])
    if changed:
        console.print(
            "By sizes and times of its files, the data set is not as it was when the plan was made "
            f"({listed(changed, CASES_NAMED)}). The unit `plan` reads it again; what has changed is then done again, "
            "or refused where models are trained.",
            style="yellow",
            soft_wrap=True,
        )
    if asked.at_once is None and whole.at_once > 1 and _has_time_limit(run, request):
        compared = "" if request.grid is None else ", and cells cannot be compared"
        console.print(
            f"Each fold gets its time as if {whole.at_once} folds were trained at once. Where fewer are, the later "
            f"ones get less{compared}; say how many by --at-once, or give every fold the same length by --epochs.",
            style="yellow",
            soft_wrap=True,
        )
    if asked.dry_run:
        _print_scripts(run, whole, asked, dataset_changed=bool(changed))
        return
    with giving(run, asked.engine):
        _hand_over(run, whole, asked, changed=bool(changed))


def _hand_over(run: RunFolder, whole: Request, asked: Asked, *, changed: bool) -> None:
    """Write down what was asked for, and give the units to the engine; no other process does so here meanwhile."""
    refuse_other_request(run, whole, asked.engine)
    if not changed:
        run.dataset_changed.unlink(missing_ok=True)
    elif not run.dataset_changed.exists():
        refuse_if_at_work(run, "the data set has changed since the plan was made")
        write_text(run.dataset_changed, "")
    # the units follow from what is written down
    write_request(run, whole)
    give_what_is_left(run, asked)


def give_what_is_left(run: WorkFolder, asked: Asked, told: str = "") -> bool:
    """Give the units that are not done to the engine, and say where that stands which was asked for.

    Args:
        run: RUN folder, or folder of predictions, with what was asked for.
        asked: the engine and its options.
        told: what is said of the request, after the name of its file.

    Returns:
        Whether a unit was left to be given.

    Raises:
        InputError: the engine is not at hand, or takes no unit.
    """
    left, console = units_left(run), open_console(stderr=True)
    if left:
        # one that is not at hand is not written down: it was given nothing, and nobody could ask it that here
        require_at_hand(run, asked.engine)
    place = shlex.quote(str(run.path))
    console.print(
        f"What was asked for is in {run.request}{told}; `autoseg status {place}` shows the units of work",
        soft_wrap=True,
    )
    if left:
        give_units(run, asked, left)
    else:
        console.print(NOTHING_LEFT)
    return bool(left)


def _changed(run: RunFolder, path: Path, request: Request) -> tuple[str, ...]:
    """Names of the cases that may be others than when the plan was made; without a plan, its unit reads all of them."""
    if not run.plan.exists():
        return ()
    return changed_since_planned(path, run, ct=request.ct, pixel_spacing=pixel_size(request.spacing))


def _print_scripts(run: RunFolder, request: Request, asked: Asked, *, dataset_changed: bool) -> None:
    """Print what would be sent and written, and do neither."""
    # as long as the data set may be another, nothing but its plan is sent
    units = units_of(run, request)[:1] if dataset_changed else units_left(run, request)
    written = {run.request: json.dumps(request.model_dump(mode="json"), indent=1)}
    if dataset_changed:
        written[run.dataset_changed] = ""
    if units:
        print(scripts_of_units(run, asked, units, written=written, follow_links=request.follow_links))
    else:
        open_console(stderr=True).print(NOTHING_LEFT)


def _has_time_limit(run: RunFolder, request: Request) -> bool:
    """Whether a time budget holds, or before there is a plan may hold, as on a CPU where nobody names one."""
    if run.plan.exists():
        return read_plan(run.plan).time_budget_seconds is not None
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
        path: path of the raw data set: its folder or its table of cases.
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
