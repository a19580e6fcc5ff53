"""Takes a raw data set to a plan, folds and preprocessed cases, for `plan-and-preprocess`, `run` and `study` alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.console import Console

from autoseg.commands import messages
from autoseg.commands.guards import refuse_if_trained, require_run_or_empty
from autoseg.commands.make_folds import keep_or_make_folds
from autoseg.commands.make_plan import Purpose, make_plan, require_measurable
from autoseg.commands.plan_options import (
    PlanOptions,
    carried_over,
    how_to_plan_anew,
    memory_asked_for,
    refuse_other_plan,
    sequence_to_align_onto,
)
from autoseg.commands.raw_data import (
    default_workers,
    is_edited,
    keep_fingerprint,
    pixel_size,
    read_and_check,
    require_room,
)
from autoseg.dataset.case import Dataset
from autoseg.dataset.disk_space import estimate_bytes, require_disk_space
from autoseg.dataset.fingerprint import Fingerprint, is_of_slices
from autoseg.errors import InputError, PlanError, RunFolderError
from autoseg.files import differing_fields
from autoseg.machine import clock
from autoseg.machine.cores import available_cores
from autoseg.machine.launcher import rank_of_launcher
from autoseg.plan.plan import Plan, default_configurations, read_plan
from autoseg.plan.study_cells import Cell, Grid
from autoseg.run_folder.dataset_record import read_record
from autoseg.run_folder.lock import locked
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import settle_plans
from autoseg.run_folder.time_spent import add_time, timed
from autoseg.run_folder.timed_stage import Stage
from autoseg.run_folder.trained_by import refuse_other_plan_than_trained
from autoseg.terminal import open_console

if TYPE_CHECKING:
    import torch
    from pandas import DataFrame


@dataclass(frozen=True)
class PreparedRun:
    """Plan and data of a run that is ready for training.

    Args:
        plan: plan that is now in `plan.yaml`.
        dataset: the raw data set that the plan is made for.
        fingerprint: fingerprint of the data set.
        workers: number of cases that are processed at once.
    """

    plan: Plan
    dataset: Dataset
    fingerprint: Fingerprint
    workers: int


def source_of(dataset: object) -> Path | DataFrame:
    """Return a data set as `prepare` takes it: a table in memory as it is, everything else as a path.

    Args:
        dataset: what a user gave as DATASET.

    Raises:
        InputError: it is neither a path nor a table.
    """
    if isinstance(dataset, (str, Path)):
        return Path(dataset)
    if hasattr(dataset, "itertuples"):
        return cast("DataFrame", dataset)
    raise InputError(f"{type(dataset).__name__}: is no data set; give a path, or the table as a pandas DataFrame")


def prepare(
    dataset: Path | DataFrame,
    run: RunFolder,
    wanted: PlanOptions,
    configurations: tuple[str, ...],
    *,
    ct: Sequence[str] | None = None,
    spacing: Sequence[float] | float | None = None,
    grid: Grid | None = None,
    folds: int | None = None,
    plan_only: bool = False,
    replan: bool = False,
    workers: int | None = None,
    follow_links: bool = False,
    trust_times: bool = False,
    write_down: Callable[[], None] = lambda: None,
) -> PreparedRun:
    """Check, plan, split and preprocess, for `plan_and_preprocess`, `run` and `study` alike.

    Args:
        dataset: folder or `cases.csv` of the raw data set, or its table.
        run: RUN folder to create or to go on with.
        wanted: options that decide the plan.
        configurations: configurations to preprocess; empty = the default, or those of a study's grid.
        ct: names of the channels that are CT; None = it is found.
        spacing: size of the pixels of pictures in mm, one number or height and width; None = it is found.
        grid: grid of a study; the plan gets a configuration for each of its cells. None = no study.
        folds: number of folds; None = as many as `splits.json` has, or else five.
        plan_only: whether to leave the preprocessing out.
        replan: whether to discard edits of `plan.yaml` and plan again.
        workers: number of cases that are processed at once; None = as many as cores and memory allow.
        follow_links: whether links in the RUN folder may lead out of it.
        trust_times: whether files whose size and time are as they were are not read again.
        write_down: writes down what was asked for, once that is known to be possible.

    Raises:
        AutosegError: under the same conditions as in `plan_and_preprocess`.
    """
    if rank_of_launcher() is not None:
        raise InputError("torchrun starts `autoseg train RUN --fold N` alone; give this command without torchrun")
    started, console = clock.now(), open_console()
    require_run_or_empty(run, follow_links=follow_links)
    settle_plans(run)
    _refuse_conflicts(run, wanted, () if grid else configurations, replan=replan)
    former = None if replan else _former_plan(run, wanted)
    to_plan_for = carried_over(wanted, former, memory_asked_for(run, former)) if former else wanted
    where, measured_on = _device(to_plan_for, measures=replan or not run.plan.exists())
    messages.say_budget(console, former.time_budget_seconds if former else wanted.budget_on(where), where, wanted)
    read = read_and_check(
        dataset,
        run,
        ct=ct,
        pixel_spacing=pixel_size(spacing),
        workers=workers or wanted.threads,
        trust_times=trust_times,
        console=console,
    )
    drawn = [case.drawn_on for case in read.dataset.cases]
    onto = sequence_to_align_onto(to_plan_for.align, read.dataset.channels, drawn)
    to_plan_for = replace(to_plan_for, align=onto)
    if grid:
        # what is wrong with a set of sequences is told before anything is measured
        grid.cells(read.dataset.channels)
    if not plan_only and not run.plan.exists():
        # where there is a plan, preprocess() checks the space and counts what is preprocessed already
        require_disk_space(run.path, estimate_bytes(read.shapes, len(read.dataset.channels)))
    count = workers or min(default_workers(read.dataset), wanted.threads or available_cores())
    with locked(run.plan, "planning and preprocessing"):
        if not run.plan.exists():
            # so that `autoseg status` tells of the units while the first one plans
            write_down()
        if replan:
            run.time_spent.unlink(missing_ok=True)
        add_time(run, Stage("check"), clock.now() - started)
        fingerprint = keep_fingerprint(run, read, workers=count, console=console)
        slices_alone = is_of_slices(fingerprint)
        cells = grid.cells(read.dataset.channels, slices_alone=slices_alone) if grid else ()
        if run.plan.exists() and not replan:
            plan = _keep_plan(run, read.dataset, fingerprint, console, folds)
            refuse_other_cells(run, plan, cells)
        else:
            trained = tuple(cell.dimension for cell in cells) or configurations
            purpose = Purpose(to_plan_for, where, measured_on, trained, cells, folds)
            plan = make_plan(run, read.dataset, fingerprint, purpose, console)
        # from here on, plan and folds are those of the data set as it was read
        run.dataset_changed.unlink(missing_ok=True)
        write_down()
        messages.say_drawn_on(console, plan, drawn)
        if not plan_only:
            names = [cell.name for cell in cells] or configurations or default_configurations(plan)
            sources = tuple(dict.fromkeys(map(plan.preprocessed_as, names)))
            preprocess(run, read.dataset, plan, sources, count)
    return PreparedRun(plan, read.dataset, fingerprint, count)


def _refuse_conflicts(run: RunFolder, wanted: PlanOptions, configurations: tuple[str, ...], *, replan: bool) -> None:
    if replan:
        refuse_if_trained(run, "--replan makes another plan")
    elif run.plan.exists():
        plan = read_plan(run.planned if run.planned.exists() else run.plan)
        refuse_other_plan(run, wanted, plan, configurations)


def _former_plan(run: RunFolder, wanted: PlanOptions) -> Plan | None:
    """The present plan, or the one before the data set changed; None if none, or made for another device."""
    plan = next((read_plan(path) for path in (run.plan, run.planned) if path.exists()), None)
    if plan is None or (wanted.device is not None and wanted.device.split(":")[0] != plan.device):
        return None
    return plan


def _device(wanted: PlanOptions, *, measures: bool) -> tuple[str, torch.device | None]:
    """Type of the device that the plan is made for, and the device that steps are measured on.

    The latter is None where this machine has no such device.

    Args:
        wanted: options that the plan is made for.
        measures: whether a plan is made now.

    Raises:
        InputError: steps would have to be measured for a time budget, and this machine has no such device.
    """
    from autoseg.machine.device import device_to_plan_for

    kind, device = device_to_plan_for(wanted.device_name)
    if measures:
        require_measurable(wanted.budget, kind, device)
    return kind, device


def _keep_plan(run: RunFolder, dataset: Dataset, fingerprint: Fingerprint, console: Console, folds: int | None) -> Plan:
    """Read the present plan with a person's edits, and refuse it if it does not fit the data set."""
    plan = read_plan(run.plan)
    keep_or_make_folds(run, dataset, fingerprint, plan.seed, console, folds)
    if tuple(channel.name for channel in plan.channels) != dataset.channels or plan.labels != dataset.labels:
        raise PlanError(
            f"{run.plan}: has other channels or labels than the data set; undo the change, or: {how_to_plan_anew(run)}"
        )
    _refuse_other_axes(run, plan, fingerprint)
    for name in plan.configurations:
        # refuse before any case is preprocessed in a way that does not fit a trained network
        refuse_other_plan_than_trained(run, plan, name)
    if is_edited(run, plan):
        fields = differing_fields(read_plan(run.planned), plan) if run.planned.exists() else ["all of it"]
        console.print(f"Kept your edits of plan.yaml: {', '.join(fields)}")
    return plan


def _refuse_other_axes(run: RunFolder, plan: Plan, fingerprint: Fingerprint) -> None:
    """Refuse `orientation: as_stored` where the stored axes (z, y, x) are not along those of the plan."""
    # the plan's axes (z, y, x) are those of LPS; each may point in either direction
    planned_in = ({"S", "I"}, {"P", "A"}, {"L", "R"})
    for case in fingerprint.cases if plan.orientation == "as_stored" else ():
        if any(letter not in axis for letter, axis in zip(case.orientation, planned_in, strict=True)):
            raise PlanError(
                f"{run.plan}: orientation: as_stored is not possible: case {case.case} is stored with axes (z, y, x) "
                f"towards {case.orientation}, and spacing, patch and mirroring are planned for axes along S, P and L; "
                "leave it canonical"
            )


def refuse_other_cells(run: RunFolder, plan: Plan, cells: Sequence[Cell]) -> None:
    """Refuse cells of a study that the plan does not have.

    Raises:
        RunFolderError: there is such a cell; the message says how to have it planned.
    """
    if missing := [cell.name for cell in cells if cell.name not in plan.configurations]:
        raise RunFolderError(f"{run.path}: was planned without {', '.join(missing)}; {how_to_plan_anew(run)}")


def preprocess(run: RunFolder, dataset: Dataset, plan: Plan, configurations: tuple[str, ...], workers: int) -> None:
    """Preprocess all cases for each of these configurations; those that share another's cases are not named."""
    from planner.preprocess import preprocess_dataset

    require_room(run, plan, configurations, len(dataset.cases))
    record = read_record(run)
    for name in configurations:
        with timed(run, Stage("preprocess", name)):
            preprocess_dataset(dataset, plan, name, run, workers=workers, record=record)
