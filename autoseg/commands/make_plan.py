"""Makes the plan of a run: nnU-Net's rules first, then what hardware and time budget change, with measured steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from autoseg.commands import messages
from autoseg.commands.make_folds import keep_or_make_folds
from autoseg.commands.plan_options import PlanOptions
from autoseg.dataset.case import Dataset
from autoseg.dataset.drawn_on import most_common
from autoseg.dataset.fingerprint import Fingerprint
from autoseg.errors import InputError
from autoseg.machine.cores import available_cores
from autoseg.machine.step_cost import Measure, StepCost
from autoseg.memory import total_memory
from autoseg.plan.configuration import Architecture, Configuration
from autoseg.plan.decision import Decision
from autoseg.plan.plan import Plan, default_configurations, write_plan
from autoseg.plan.study_cells import Cell
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.selection import set_selection_aside
from autoseg.run_folder.splits import Split
from autoseg.run_folder.step_costs import CostRecorder, StepCosts, write_step_costs
from autoseg.run_folder.time_spent import read_time_spent, timed
from autoseg.run_folder.timed_stage import Stage

if TYPE_CHECKING:
    import torch

    from planner.budget.memory_target import MemoryTarget
    from planner.rules.reference_plan import PlannedDecisions


@dataclass(frozen=True)
class Purpose:
    """What a plan is made for.

    Args:
        wanted: options that decide the plan.
        device: type of the device that trains: `cpu`, `cuda` or `mps`.
        measured_on: the device that training steps are measured on; None where this machine has none of that type.
        configurations: configurations that will be trained; for a study, the dimension of each cell. Empty = the
            default.
        cells: cells of the study; empty where the run is no study.
        folds: number of folds; None = as many as `splits.json` has, or else five.
    """

    wanted: PlanOptions
    device: str
    measured_on: torch.device | None
    configurations: tuple[str, ...]
    cells: tuple[Cell, ...]
    folds: int | None


def make_plan(run: RunFolder, dataset: Dataset, fingerprint: Fingerprint, purpose: Purpose, console: Console) -> Plan:
    """Make and write two plans: one by nnU-Net's rules, and one that fits the hardware and the time budget."""
    wanted, cells = purpose.wanted, purpose.cells
    with timed(run, Stage("plan")):
        from planner.rules.reference_plan import require_planned

        memory = _memory(purpose)
        reference = reference_of(fingerprint, memory.reference.value, wanted.architecture or "plain", cells)
        reference = reference.changed(memory_gb=memory.reference)
        if wanted.align is not None:
            by_column = wanted.align == most_common(case.drawn_on for case in dataset.cases)
            why = "asked for, by --align" + ("; most labels were drawn on it" if by_column else "")
            reference = reference.changed(align=Decision(wanted.align, why))
        if not purpose.configurations:
            purpose = replace(purpose, configurations=default_configurations(reference.plan))
            messages.say_if_slices_alone(console, fingerprint, purpose.configurations)
        require_planned(reference.plan, purpose.configurations)
        splits = keep_or_make_folds(run, dataset, fingerprint, reference.plan.seed, console, purpose.folds)
        budget = wanted.budget_on(purpose.device)
        require_measurable(budget, purpose.device, purpose.measured_on)
        by_work = wanted.epochs is not None
        measure = None if purpose.measured_on is None else _recorder(purpose.measured_on, wanted, fingerprint)
        followed, inside = reference, fingerprint
        if budget is not None:
            followed, inside = in_region(reference, fingerprint, splits, purpose)
        decided = decide(
            followed.changed(memory_gb=memory.followed),
            inside,
            splits,
            cells,
            configurations=purpose.configurations,
            budget_seconds=budget,
            # where a person fixed the number of epochs, no measured time may change the plan
            spent_seconds=0.0 if by_work else read_time_spent(run).total,
            device=purpose.device,
            devices=wanted.count,
            measure=measure,
        )
        # this module imports torch, which is loaded by now anyway
        from autoseg.machine.threads import default_threads

        write_plan(run.reference_plan, reference.plan, reference.reasons)
        set_selection_aside(run)
        costs = StepCosts(
            device=purpose.device,
            cores=available_cores(),
            threads=wanted.threads_of_a_fold or default_threads(),
            counted=by_work,
            steps=() if measure is None else tuple(measure.steps),
        )
        write_step_costs(run, costs)
        # written before plan.yaml, so that edits of plan.yaml can always be found by comparison
        write_plan(run.planned, decided.plan, decided.reasons)
        write_plan(run.plan, decided.plan, decided.reasons)
    names = tuple(dict.fromkeys(purpose.configurations))
    messages.say_plan(console, run, decided.plan, reference.plan, names, len(splits), costs, wanted.epochs)
    if wanted.memory_gb is None:
        messages.say_memory(console, decided.plan, free_memory_of(purpose.measured_on))
    if purpose.measured_on is None:
        messages.say_unmeasured(console, decided.plan)
    if not by_work:
        messages.say_if_too_little(console, run, decided.plan, purpose.configurations, len(splits), costs)
    return decided.plan


def reference_of(
    fingerprint: Fingerprint, memory_gb: float, architecture: Architecture, cells: Sequence[Cell]
) -> PlannedDecisions:
    """The plan by nnU-Net's rules; for a study, with one configuration for each input dimension of its cells."""
    from planner.rules.reference_plan import require_planned

    reference = _reference_of_all(fingerprint, memory_gb, architecture)
    require_planned(reference.plan, [cell.dimension for cell in cells])
    return _of_cells(reference, cells)


def _reference_of_all(fingerprint: Fingerprint, memory_gb: float, architecture: Architecture) -> PlannedDecisions:
    """The plan by nnU-Net's rules, with every configuration that they plan, and `2.5d`."""
    from planner.additions.network_input import with_inputs
    from planner.rules.reference_plan import reference_plan

    return with_inputs(reference_plan(fingerprint, memory_gb=memory_gb, architecture=architecture), fingerprint)


def _of_cells(reference: PlannedDecisions, cells: Sequence[Cell]) -> PlannedDecisions:
    """The plan with a configuration for each input dimension of a study's cells; as it is without cells."""
    from planner.additions.study_grid import dimensions_of

    return dimensions_of(reference, cells) if cells else reference


def in_region(
    reference: PlannedDecisions, fingerprint: Fingerprint, splits: tuple[Split, ...], purpose: Purpose
) -> tuple[PlannedDecisions, Fingerprint]:
    """What nnU-Net's rules decide for images that are cropped to where foreground lies, and their fingerprint.

    The reference plan and the whole fingerprint are returned where there is no region, or where a configuration that
    is asked for would not be planned for it.

    Args:
        reference: the plan by nnU-Net's rules for whole images, which gives memory and architecture.
        fingerprint: fingerprint of the whole images.
        splits: the folds of cross-validation.
        purpose: what the plan is made for.
    """
    from planner.additions.region import learn_region, within

    region = learn_region(fingerprint, splits)
    if region.value is None:
        return reference.changed(region=region), fingerprint
    inside = within(fingerprint, region.value)
    plan = reference.plan
    architecture = next(iter(plan.configurations.values())).network.architecture
    cropped = _reference_of_all(inside, plan.memory_gb, architecture)
    if missing := [name for name in purpose.configurations if name not in cropped.plan.configurations]:
        why = f"whole images: {', '.join(missing)} would not be planned for a part of them"
        return reference.changed(region=Decision(None, why)), fingerprint
    return _of_cells(cropped, purpose.cells).changed(region=region), inside


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
    devices: int = 1,
    measure: Measure | None,
) -> PlannedDecisions:
    """Fit the reference plan to the hardware and the time budget; for a study, add every cell's configuration."""
    from planner.additions.study_grid import with_cells
    from planner.budget.time_budget import fit_to_budget

    decided = fit_to_budget(
        reference,
        fingerprint,
        splits,
        configurations=configurations,
        budget_seconds=budget_seconds,
        spent_seconds=spent_seconds,
        device=device,
        devices=devices,
        measure=measure,
    )
    return with_cells(decided, cells, fingerprint) if cells else decided


def require_measurable(budget: float | None, kind: str, device: torch.device | None) -> None:
    """Refuse a time budget where no training step can be measured.

    Args:
        budget: time budget in seconds; None = no limit.
        kind: type of the device that the plan is made for.
        device: the device; None where this machine has none of that type.

    Raises:
        InputError: there is a budget, and no device to measure on.
    """
    if budget is not None and device is None:
        raise InputError(
            f"--time-budget: a plan for a time rests on measured training steps, and this machine has no {kind} "
            "device; plan on a machine that has one, or leave --time-budget out"
        )


def _memory(purpose: Purpose) -> MemoryTarget:
    """The memory that the plan is made for; on a CPU that of the whole machine limits it, which does not change."""
    from planner.budget.memory_target import memory_target

    wanted, architecture = purpose.wanted, purpose.wanted.architecture or "plain"
    free = total_memory() if purpose.device == "cpu" else free_memory_of(purpose.measured_on)
    return memory_target(wanted.memory_gb, architecture, free, purpose.device)


def free_memory_of(device: torch.device | None) -> int | None:
    """Bytes that are free on a device with a memory of its own; None without one."""
    if device is None:
        return None
    from autoseg.machine.device_memory import free_device_memory

    return free_device_memory(device)


def _recorder(device: torch.device, wanted: PlanOptions, fingerprint: Fingerprint) -> CostRecorder:
    """What measures training steps and keeps the measurements; it counts their work where epochs are given.

    A step is measured with the threads that a fold has.
    """
    threads = wanted.threads_of_a_fold
    by_clock = measure_on(str(device), threads, fingerprint)
    return CostRecorder(by_clock if wanted.epochs is None else _by_work(device.type, threads, by_clock))


def measure_on(device: str, threads: int | None, fingerprint: Fingerprint) -> Measure:
    """Return the trainer's function that measures real training steps of a data set, for the planner to call."""
    from trainer.measure import measure_step

    measure = partial(measure_step, device=device, threads=threads)
    return partial(measure, partly_annotated=True) if fingerprint.partly_annotated else measure


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
