"""Plans a configuration a second time if the first epochs are far slower or faster than planned.

The planner measures training steps for some seconds only. The machine may be busy then, or the measured steps
may differ from those on the real data. The first epochs of the first fold show the real pace. While no other fold
has begun, the configuration is planned once more, for the time that is left and the real cost of a step. What a
person wrote into `plan.yaml` stays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from autoseg.commands.make_plan import decide, measure_on, reference_of
from autoseg.commands.plan_options import memory_asked_for
from autoseg.commands.preparation import PreparedRun, preprocess
from autoseg.errors import OtherPace
from autoseg.files import discard
from autoseg.machine.step_cost import StepCost
from autoseg.plan.configuration import Configuration
from autoseg.plan.decision import Decision
from autoseg.plan.plan import Plan, read_plan
from autoseg.plan.study_cells import Cell
from autoseg.plan.time_shares import budget_of_some_folds
from autoseg.run_folder.lock import locked
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import edited_fields, edited_in, read_planned_reasons, replace_plans
from autoseg.run_folder.splits import read_splits
from autoseg.run_folder.step_costs import CostRecorder, PlannedAgain, read_step_costs, write_step_costs
from autoseg.run_folder.time_spent import read_time_spent, rename_stage, timed
from autoseg.run_folder.timed_stage import Stage

if TYPE_CHECKING:
    from planner.rules.reference_plan import PlannedDecisions

EDITABLE = ("training", "prediction")
"""Parts of a configuration whose edits by a person are carried over into the second plan."""


def can_plan_again(
    run: RunFolder, plan: Plan, name: str, fold: int, edits: Sequence[str], cells: Sequence[Cell] = ()
) -> bool:
    """Whether the configuration of the next fold may still be planned again.

    It may if the run has a time budget, no other fold with this network has begun, the configuration was not
    planned again before, and no person edited its spacing, patch, batch or network.

    Args:
        run: RUN folder that shows which folds have begun.
        plan: plan that the fold is trained by, as `plan.yaml` now has it.
        name: name of the configuration.
        fold: number of the fold that is trained next.
        edits: dotted paths of the plan's fields that a person edited.
        cells: cells of the study; all cells of one dimension share a network. Empty where the run is no study.
    """
    group = _tied(plan, name, cells)
    if plan.time_budget_seconds is None or {*group} & {*plan.planned_again}:
        return False
    begun = {(other, index) for other in group for index, _ in run.begun_folds(other)}
    return begun <= {(name, fold)} and not _edits_the_network(edits, group)


def plan_again(
    run: RunFolder,
    prepared: PreparedRun,
    found: OtherPace,
    folds_left: Sequence[tuple[str, int]],
    configurations: Sequence[str],
    console: Console,
    *,
    threads: int | None,
    cells: Sequence[Cell] = (),
) -> PreparedRun:
    """Plan a configuration, and those that share its network, again for the real pace of the first epochs.

    If the second plan has the same network, the fold goes on. Otherwise the fold starts anew, and the cases are
    preprocessed again if their spacing has changed.

    Args:
        run: RUN folder in which only this fold of the configuration has begun.
        prepared: the plan, and the data set and fingerprint that it was made from.
        found: planned and real seconds per step.
        folds_left: every (configuration, fold) that is not finished; the first is the one that has begun.
        configurations: configurations that this run trains; time spent on others in the same RUN does not count.
        console: console for messages to the user.
        threads: number of CPU threads that a person set; None = as many as other programs leave cores for.
        cells: cells of the study; empty where the run is no study.

    Returns:
        The input with the plan that now holds.
    """
    name, fold = folds_left[0]
    with timed(run, Stage("plan")), locked(run.plan, "planning and preprocessing"):
        plan = read_plan(run.plan)
        prepared = replace(prepared, plan=plan)
        if not can_plan_again(run, plan, name, fold, edited_fields(run, plan), cells):
            # meanwhile another process has begun a fold, or a person has edited the plan
            return prepared
        group = _tied(plan, name, cells)
        decided = None
        if not _is_the_cheapest(plan, name) or found.real < found.planned:
            decided = _decide_again(run, prepared, found, group, folds_left, configurations, cells, threads)
        if decided is None or _network_of(decided.plan, name) == _network_of(plan, name):
            console.print(f"{name}: {found}. No other network fits the time better; the schedule follows the pace.")
            return replace(prepared, plan=_write(run, plan, group, {}, {}))
        with locked(run.fold(name, fold), f"training fold {fold}"):
            discard(run.fold(name, fold))
        given_up = Stage("train", name, fold)
        rename_stage(run, given_up, replace(given_up, before_planning_again=True))
        changed = {n: decided.plan.configuration(n) for n in group}
        now = _write(run, plan, group, changed, decided.reasons)
    console.print(f"{name}: {found}. Planned again, {_difference(plan, now, name)}.", style="bold")
    trained = {left for left, _ in folds_left}
    sources = tuple(dict.fromkeys(now.preprocessed_as(n) for n in group if n in trained))
    preprocess(run, prepared.dataset, now, sources, prepared.workers)
    return replace(prepared, plan=now)


def _tied(plan: Plan, name: str, cells: Sequence[Cell]) -> tuple[str, ...]:
    """The configurations that are planned together with `name`: same preprocessed cases or same dimension."""
    dimension_of = {cell.name: cell.dimension for cell in cells} | {cell.dimension: cell.dimension for cell in cells}
    of_one = {dimension_of.get(name, name)}
    source = plan.preprocessed_as(name)
    tied = [n for n in plan.configurations if n == name or plan.preprocessed_as(n) == source]
    of_one |= {dimension_of.get(n, n) for n in tied}
    return tuple(n for n in plan.configurations if dimension_of.get(n, n) in of_one)


def _decide_again(
    run: RunFolder,
    prepared: PreparedRun,
    found: OtherPace,
    group: tuple[str, ...],
    folds_left: Sequence[tuple[str, int]],
    configurations: Sequence[str],
    cells: Sequence[Cell],
    threads: int | None,
) -> PlannedDecisions:
    """Plan for the time that the group's folds have left; measured step times are scaled to the real pace."""
    from planner.additions.region import within

    name, _ = folds_left[0]
    plan, splits = prepared.plan, read_splits(run.splits)
    # the region stays: cases are preprocessed by it
    fingerprint = within(prepared.fingerprint, plan.region)
    architecture = plan.configuration(name).network.architecture
    reference = reference_of(fingerprint, memory_asked_for(run, plan), architecture, cells)
    reference = reference.changed(memory_gb=Decision(plan.memory_gb, "as planned before"))
    measure = CostRecorder(measure_on(plan.device, threads, fingerprint))
    factor = _times_as_slow(measure(plan, plan.configuration(name)), found)

    def as_it_is(plan: Plan, configuration: Configuration) -> StepCost:
        cost = measure(plan, configuration)
        return replace(cost, seconds=cost.seconds * factor)

    dimension_of = {cell.name: cell.dimension for cell in cells}
    trained = dict.fromkeys(n for n, _ in folds_left if n in group)
    share = sum(n in group for n, _ in folds_left) / len(folds_left)
    spent = read_time_spent(run).of_run(plan, configurations)
    decided = decide(
        reference,
        fingerprint,
        splits,
        cells,
        configurations=tuple(dimension_of.get(n, n) for n in trained),
        budget_seconds=budget_of_some_folds(plan.time_budget_seconds or 0.0, spent, share),
        spent_seconds=spent,
        device=plan.device,
        measure=as_it_is,
    )
    if costs := read_step_costs(run):
        again = PlannedAgain(configuration=name, factor=factor, steps=tuple(measure.steps))
        write_step_costs(run, costs.changed(again=(*costs.again, again)))
    return decided


def _times_as_slow(measured: StepCost, found: OtherPace) -> float:
    """Factor from the measured time of a step, augmentation included, to its real time."""
    from planner.budget.candidate_chooser import AUGMENTATION_FACTOR

    return found.real / (AUGMENTATION_FACTOR * measured.seconds) if math.isfinite(measured.seconds) else 1.0


def _write(
    run: RunFolder,
    before: Plan,
    group: Sequence[str],
    changed: dict[str, Configuration],
    reasons: dict[str, str],
) -> Plan:
    """Write the new plan twice, as autoseg made it and with a person's edits, and return the latter.

    Args:
        run: RUN folder to write to.
        before: the present plan, with the person's edits.
        group: configurations that are marked as planned again, so that this happens only once.
        changed: new configurations by name; empty where the plan stays as it was.
        reasons: reasons of the new plan, by dotted path.
    """
    edits = edited_fields(run, before)
    planned = read_plan(run.planned) if run.planned.exists() else before
    again = tuple(dict.fromkeys([*before.planned_again, *group]))
    with_edits = {name: _with_edits(before.configuration(name), c, name, edits) for name, c in changed.items()}
    followed = before.changed(planned_again=again, configurations=before.configurations | with_edits)
    planned = planned.changed(planned_again=again, configurations=planned.configurations | changed)
    anew = tuple(f"configurations.{name}." for name in changed)
    told = {field: why for field, why in read_planned_reasons(run).items() if not field.startswith(anew)}
    told |= {field: why for field, why in reasons.items() if field.startswith(anew)}
    told["planned_again"] = "their first epochs had another pace than planned"
    replace_plans(run, planned, followed, told)
    return followed


def _with_edits(before: Configuration, now: Configuration, name: str, edits: Sequence[str]) -> Configuration:
    """The new configuration with the person's edits of the old one."""
    changes = {}
    for part in EDITABLE:
        old, new = getattr(before, part), getattr(now, part)
        fields = edited_in(part, edits, name)
        changes[part] = new.changed(**{field: getattr(old, field) for field in fields})
    return now.changed(**changes)


def _edits_the_network(edits: Sequence[str], group: Sequence[str]) -> bool:
    """Whether a person edited anything of the group outside of `EDITABLE`, such as spacing, patch or network."""
    free = tuple(f"configurations.{name}.{part}." for name in group for part in EDITABLE)
    own = tuple(f"configurations.{name}" for name in group)
    return any(f"{edit}.".startswith(tuple(f"{o}." for o in own)) and not edit.startswith(free) for edit in edits)


def _network_of(plan: Plan, name: str) -> tuple[object, ...]:
    c = plan.configuration(name)
    return c.spacing, c.patch_size, c.batch_size, c.network


def _is_the_cheapest(plan: Plan, name: str) -> bool:
    """Whether the planner took its cheapest candidate, as it does where no candidate affords enough steps."""
    from planner.budget.candidate_chooser import ENOUGH_STEPS

    # by the smallest number that any plan must afford: where another network is looked for in vain, the same is found
    return plan.configuration(name).training.iterations < ENOUGH_STEPS


def _difference(before: Plan, now: Plan, name: str) -> str:
    """Say what differs between two plans; the one whose step takes more work is called richer."""
    from planner.budget.cost import work_of_a_step

    old, new = before.configuration(name), now.configuration(name)
    kind = "richer" if work_of_a_step(now, new) > work_of_a_step(before, old) else "poorer"
    told = [f"{b} {what} instead of {a}" for (what, a), (_, b) in zip(_facts(old), _facts(new), strict=True) if a != b]
    return f"{kind} than planned: {', '.join(told) or 'other convolutions, the rest as it was'}"


def _facts(c: Configuration) -> list[tuple[str, str]]:
    spacing = " x ".join("as it is" if s is None else f"{s:.3g}" for s in c.spacing)
    return [
        ("features", str(c.network.features[0])),
        ("voxels a patch (z, y, x)", " x ".join(map(str, c.patch_size))),
        ("mm spacing (z, y, x)", spacing),
    ]
