"""`autoseg plan-and-preprocess`: makes fingerprint, plan, folds and preprocessed cases from a raw data set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from autoseg.commands import messages
from autoseg.commands.folds import keep_or_make_folds
from autoseg.commands.options import (
    Asked,
    asked,
    carried_over,
    configurations_of,
    how_to_plan_anew,
    refuse_if_trained,
    refuse_other_plan,
    require_run_or_empty,
)
from autoseg.commands.reading import default_workers, is_edited, keep_fingerprint, read_and_check, require_room
from autoseg.dataset.case import Dataset
from autoseg.dataset.disk import estimate_bytes, require_disk_space
from autoseg.dataset.fingerprint import Fingerprint
from autoseg.errors import PlanError, RunFolderError
from autoseg.files import differing_fields, locked
from autoseg.machine import clock
from autoseg.machine.cores import available_cores
from autoseg.machine.step_cost import Measure, StepCost
from autoseg.plan.configuration import Architecture, Configuration
from autoseg.plan.defaults import DEFAULT_CONFIGURATIONS, DEFAULT_MEMORY_GB
from autoseg.plan.plan import Plan, read_plan, write_plan
from autoseg.plan.study_cells import Cell, Grid
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import settle_plans
from autoseg.run_folder.selection import set_selection_aside
from autoseg.run_folder.splits import Split
from autoseg.run_folder.stage import Stage
from autoseg.run_folder.step_costs import Recorder, StepCosts, write_step_costs
from autoseg.run_folder.time_spent import add_time, read_time_spent, timed
from autoseg.run_folder.trained_by import refuse_other_plan_than_trained
from autoseg.terminal import open_console

if TYPE_CHECKING:
    from planner.rules.reference_plan import PlannedDecisions


def plan_and_preprocess(
    dataset: Path | str,
    output: Path | str,
    *,
    config: str | Sequence[str] = DEFAULT_CONFIGURATIONS,
    time_budget: str | float | None = None,
    memory: float | None = None,
    device: str = "auto",
    architecture: Architecture | None = None,
    plan_only: bool = False,
    replan: bool = False,
    workers: int | None = None,
    threads: int | None = None,
) -> Plan:
    """Check a data set, measure its fingerprint, plan, split and preprocess.

    A second call on the same RUN folder keeps a person's edits of `plan.yaml`. It repeats only the work that
    these edits, or changes of the data set, make necessary.

    Args:
        dataset: folder in nnU-Net's or the Decathlon's layout, or a `cases.csv` (or its folder).
        output: RUN folder to create, or an existing one to go on with.
        config: configurations to preprocess: `2d`, `2.5d`, `3d`, `3d_lowres`. All are planned.
        time_budget: time for a whole run, such as `40m`, or seconds; None = 40 minutes on a CPU, and on a
            GPU as long as the reference schedule takes.
        memory: device memory in GB that the plan may use; None = 8.
        device: device that the plan is made for: `auto`, `cpu`, `cuda` or `mps`.
        architecture: architecture of the network; None = `plain`.
        plan_only: whether to leave the preprocessing out.
        replan: whether to discard edits of `plan.yaml` and plan again.
        workers: number of cases that are processed at once; None = as many as cores and memory allow.
        threads: number of CPU threads with which training steps are measured, and maximum number of cases that are
            processed at once; None = by the number of cores.

    Returns:
        The plan that is now in `plan.yaml`.

    Raises:
        DatasetError: the data set has problems; the message lists all of them, and nothing has been written.
        PlanError: an edited plan, or a person's own folds, are impossible.
        RunFolderError: RUN was planned with other options, or its models would not fit a new plan.
        InputError: an option is malformed, or the disk has too little space.
    """
    return prepare(
        Path(dataset),
        RunFolder(Path(output)),
        asked(time_budget, memory, device, architecture, threads=threads),
        configurations_of(config),
        plan_only=plan_only,
        replan=replan,
        workers=workers,
    ).plan


@dataclass(frozen=True)
class Prepared:
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


def prepare(
    dataset: Path,
    run: RunFolder,
    wanted: Asked,
    configurations: tuple[str, ...],
    *,
    grid: Grid | None = None,
    folds: int | None = None,
    plan_only: bool = False,
    replan: bool = False,
    workers: int | None = None,
) -> Prepared:
    """Check, plan, split and preprocess, for `plan_and_preprocess`, `run` and `study` alike.

    Args:
        dataset: folder or `cases.csv` of the raw data set.
        run: RUN folder to create or to go on with.
        wanted: options that decide the plan.
        configurations: configurations to preprocess; for a study, the input dimensions of its grid.
        grid: grid of a study; the plan gets a configuration for each of its cells. None = no study.
        folds: number of folds; None = as many as `splits.json` has, or else five.
        plan_only: whether to leave the preprocessing out.
        replan: whether to discard edits of `plan.yaml` and plan again.
        workers: number of cases that are processed at once; None = as many as cores and memory allow.

    Raises:
        AutosegError: under the same conditions as in `plan_and_preprocess`.
    """
    started, console = clock.now(), open_console()
    settle_plans(run)
    _refuse_conflicts(run, wanted, () if grid else configurations, replan=replan)
    former = None if replan else _former_plan(run, wanted)
    to_plan_for = carried_over(wanted, former) if former else wanted
    where = former.device if former else _device(wanted)
    messages.say_budget(console, former.time_budget_seconds if former else wanted.budget_on(where), where, wanted)
    read = read_and_check(dataset, run, workers=workers or wanted.threads, console=console)
    cells = grid.cells(read.dataset.channels) if grid else ()
    if not plan_only and not run.plan.exists():
        # where there is a plan, preprocess() checks the space and counts what is preprocessed already
        require_disk_space(run.path, estimate_bytes(read.shapes, len(read.dataset.channels)))
    count = workers or min(default_workers(read.dataset), wanted.threads or available_cores())
    with locked(run.path / ".lock", "planning and preprocessing"):
        if replan:
            run.time_spent.unlink(missing_ok=True)
        add_time(run, Stage("check"), clock.now() - started)
        fingerprint = keep_fingerprint(run, read, workers=count, console=console)
        if run.plan.exists() and not replan:
            plan = _keep_plan(run, read.dataset, fingerprint, console, folds)
            _refuse_other_cells(run, plan, cells)
        else:
            trained = tuple(cell.dimension for cell in cells) or configurations
            purpose = _Purpose(to_plan_for, where, trained, cells, folds)
            plan = _make_plan(run, read.dataset, fingerprint, purpose, console)
        if not plan_only:
            names = [cell.name for cell in cells] or configurations
            sources = tuple(dict.fromkeys(map(plan.preprocessed_as, names)))
            preprocess(run, read.dataset, plan, sources, count)
    return Prepared(plan, read.dataset, fingerprint, count)


def _refuse_conflicts(run: RunFolder, wanted: Asked, configurations: tuple[str, ...], *, replan: bool) -> None:
    require_run_or_empty(run)
    if replan:
        refuse_if_trained(run, "--replan makes another plan")
    elif run.plan.exists():
        plan = read_plan(run.planned if run.planned.exists() else run.plan)
        refuse_other_plan(run, wanted, plan, configurations)


def _former_plan(run: RunFolder, wanted: Asked) -> Plan | None:
    """The present plan, or the one before the data set changed; None if none, or made for another device."""
    plan = next((read_plan(path) for path in (run.plan, run.planned) if path.exists()), None)
    if plan is None or (wanted.device is not None and wanted.device.split(":")[0] != plan.device):
        return None
    return plan


def _device(wanted: Asked) -> str:
    """Type of the device that the plan will be made for: `cpu`, `cuda` or `mps`."""
    from autoseg.machine.device import resolve_device

    return resolve_device(wanted.device_name).type


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
        console.print(f"Kept your edits of plan.yaml: {', '.join(fields)}", highlight=False)
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


def _refuse_other_cells(run: RunFolder, plan: Plan, cells: Sequence[Cell]) -> None:
    if missing := [cell.name for cell in cells if cell.name not in plan.configurations]:
        raise RunFolderError(f"{run.path}: was planned without {', '.join(missing)}; {how_to_plan_anew(run)}")


@dataclass(frozen=True)
class _Purpose:
    """What a plan is made for.

    Args:
        wanted: options that decide the plan.
        device: type of the device that trains: `cpu`, `cuda` or `mps`.
        configurations: configurations that will be trained; for a study, the dimension of each cell.
        cells: cells of the study; empty where the run is no study.
        folds: number of folds; None = as many as `splits.json` has, or else five.
    """

    wanted: Asked
    device: str
    configurations: tuple[str, ...]
    cells: tuple[Cell, ...]
    folds: int | None


def _make_plan(run: RunFolder, dataset: Dataset, fingerprint: Fingerprint, purpose: _Purpose, console: Console) -> Plan:
    """Make and write two plans: one by nnU-Net's rules, and one that fits the hardware and the time budget."""
    wanted, cells = purpose.wanted, purpose.cells
    with timed(run, Stage("plan")):
        reference = reference_of(
            fingerprint, wanted.memory_gb or DEFAULT_MEMORY_GB, wanted.architecture or "plain", cells
        )
        for name in purpose.configurations:
            reference.plan.configuration(name)
        splits = keep_or_make_folds(run, dataset, fingerprint, reference.plan.seed, console, purpose.folds)
        by_work = wanted.epochs is not None
        by_clock = measure_on(purpose.device, wanted.threads)
        measure = Recorder(_by_work(purpose.device, wanted.threads, by_clock) if by_work else by_clock)
        decided = decide(
            reference,
            fingerprint,
            splits,
            cells,
            configurations=purpose.configurations,
            budget_seconds=wanted.budget_on(purpose.device),
            # where a person fixed the number of epochs, no measured time may change the plan
            spent_seconds=0.0 if by_work else read_time_spent(run).total,
            device=purpose.device,
            measure=measure,
        )
        # this module imports torch, which is loaded by now anyway
        from autoseg.machine.threads import default_threads

        write_plan(run.reference_plan, reference.plan, reference.reasons)
        set_selection_aside(run)
        costs = StepCosts(
            device=purpose.device,
            cores=available_cores(),
            threads=wanted.threads or default_threads(),
            counted=by_work,
            steps=tuple(measure.steps),
        )
        write_step_costs(run, costs)
        # written before plan.yaml, so that edits of plan.yaml can always be found by comparison
        write_plan(run.planned, decided.plan, decided.reasons)
        write_plan(run.plan, decided.plan, decided.reasons)
    names = tuple(dict.fromkeys(purpose.configurations))
    messages.say_plan(console, run, decided.plan, reference.plan, names, len(splits), costs)
    if not by_work:
        messages.say_if_too_little(console, run, decided.plan, purpose.configurations, len(splits), costs)
    return decided.plan


def reference_of(
    fingerprint: Fingerprint, memory_gb: float, architecture: Architecture, cells: Sequence[Cell]
) -> PlannedDecisions:
    """The plan by nnU-Net's rules; for a study, with one configuration for each input dimension of its cells."""
    from planner.additions.network_input import with_inputs
    from planner.additions.study_grid import dimensions_of
    from planner.rules.reference_plan import reference_plan

    reference = with_inputs(reference_plan(fingerprint, memory_gb=memory_gb, architecture=architecture), fingerprint)
    return dimensions_of(reference, cells) if cells else reference


def decide(
    reference: PlannedDecisions,
    fingerprint: Fingerprint,
    splits: tuple[Split, ...],
    cells: Sequence[Cell],
    *,
    configurations: tuple[str, ...],
    budget_seconds: float | None,
    spent_seconds: float,
    device: str,
    measure: Measure,
) -> PlannedDecisions:
    """Fit the reference plan to the hardware and the time budget; for a study, add every cell's configuration."""
    from planner.additions.study_grid import with_cells
    from planner.budget.time_budget import fit_to_hardware

    decided = fit_to_hardware(
        reference,
        fingerprint,
        splits,
        configurations=configurations,
        budget_seconds=budget_seconds,
        spent_seconds=spent_seconds,
        device=device,
        measure=measure,
    )
    return with_cells(decided, cells, fingerprint) if cells else decided


def measure_on(device: str, threads: int | None) -> Measure:
    """Return the trainer's function that measures real training steps, for the planner to call."""
    from trainer.measure import measure_step

    return partial(measure_step, device=device, threads=threads)


def _by_work(device: str, threads: int | None, by_clock: Measure) -> Measure:
    """Return a function that counts the work of a step instead of timing it; off the CPU it measures memory too."""
    from planner.budget.cost import counted_cost

    def cost(plan: Plan, configuration: Configuration) -> StepCost:
        counted = counted_cost(plan, configuration, threads or available_cores())
        if device == "cpu":
            return counted
        measured = by_clock(plan, configuration)
        fits = math.isfinite(measured.seconds)
        return replace(counted, seconds=counted.seconds if fits else math.inf, peak_bytes=measured.peak_bytes)

    return cost


def preprocess(run: RunFolder, dataset: Dataset, plan: Plan, configurations: tuple[str, ...], workers: int) -> None:
    """Preprocess all cases for each of these configurations; those that share another's cases are not named."""
    from planner.preprocess import preprocess_dataset

    require_room(run, plan, configurations, len(dataset.cases))
    for name in configurations:
        with timed(run, Stage("preprocess", name)):
            preprocess_dataset(dataset, plan, name, run, workers=workers)
