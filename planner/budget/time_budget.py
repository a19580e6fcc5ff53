"""Fit the reference plan to the hardware and to the time budget.

In: the reference plan, the fingerprint, a time budget, and a function that measures a real training step. Out: the
plan that is followed. Without a time budget the reference plan is kept, lowered only where it does not fit into
memory, with a schedule as long as the data set asks for. With a budget, each configuration becomes the richest
candidate whose measured step allows enough steps in the time of a fold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.machine.step_cost import Measure, StepCost
from autoseg.plan.configuration import Configuration, Network
from autoseg.plan.decision import Decision, WithReasons
from autoseg.plan.plan import Plan
from autoseg.plan.time_shares import BudgetShares, divide_budget
from autoseg.run_folder.splits import Split
from planner.additions.lesion_loss import with_lesions
from planner.budget.candidate_chooser import Chooser
from planner.budget.cost import allow_a_line, estimated_cost, work_of_a_step
from planner.budget.gpu_candidates import candidates_on_gpu
from planner.budget.long_schedule import long_schedule
from planner.budget.memory_check import fitting, nothing_fits
from planner.budget.network_candidates import Candidate, candidates
from planner.budget.short_schedule import short_prediction, short_training
from planner.rules.reference_plan import PlannedDecisions

INPUT_FIELDS = ("neighbours", "sequences", "availability_code", "preprocessed_as")
"""Fields of a configuration that decide what its network sees, and from which preprocessed cases."""


def fit_to_budget(
    decisions: PlannedDecisions,
    fingerprint: Fingerprint,
    splits: tuple[Split, ...],
    *,
    configurations: tuple[str, ...],
    budget_seconds: float | None,
    spent_seconds: float,
    device: str,
    devices: int = 1,
    measure: Measure | None,
) -> PlannedDecisions:
    """The plan that is followed on this machine within the time budget.

    Args:
        decisions: the reference plan with its reasons.
        fingerprint: fingerprint of the data set.
        splits: the folds of cross-validation; they share the time equally.
        configurations: names of the configurations that will be trained; they share the time equally. A configuration
            that several cells of a study are made from is listed once for each cell.
        budget_seconds: time limit of the whole run in seconds; None = no limit.
        spent_seconds: seconds of the budget that are already used.
        device: type of the device, such as `cpu`.
        devices: number of devices that train folds side by side; with more of them a fold has more of the time.
        measure: function that measures a training step of a configuration on the device. For configurations that are
            not trained now, the step is estimated from these measurements where they suffice to fit a line. None =
            this machine has no such device, and without a budget the reference plan is followed unmeasured.

    Raises:
        PlanError: not even the smallest network or patch of a configuration fits into memory.
    """
    fitted = decisions.changed(
        device=Decision(device, "where training is to run" if measure else "asked for; not measured: it is not here"),
        devices=Decision(
            devices, "that train folds side by side" if devices > 1 else "trains one fold after the other"
        ),
        time_budget_seconds=Decision(
            budget_seconds, "for the whole run, restarts included" if budget_seconds else "no limit was given"
        ),
    )
    # decided before a step is measured, because this loss is part of the step's time
    fitted = with_lesions(fitted, fingerprint)
    time = None
    if budget_seconds is not None:
        cases, folds = len(fingerprint.cases), len(splits)
        time = divide_budget(budget_seconds, spent_seconds, cases, folds, len(configurations), devices)
    # a configuration that reads the cases of another also has its patch and network, so the other is measured too
    measured = {*configurations, *map(fitted.plan.preprocessed_as, configurations)}
    known: list[tuple[int, StepCost]] = []
    for name in _in_order(fitted.plan, measured):
        if time is None or measure is None:
            fitted = _without_limit(fitted, name, fingerprint, measure if name in configurations else None)
        elif name in measured or not allow_a_line(known):
            trained = name in measured
            fitted, points = _fitted_to_time(fitted, name, fingerprint, splits, time, measure, trained=trained)
            known += points
        else:
            # a configuration that is not trained now is planned as if it had the share of one that is
            estimate = _estimated_from(known)
            fitted, _ = _fitted_to_time(fitted, name, fingerprint, splits, time, estimate, trained=False)
    return fitted


def _fitted_to_time(
    decisions: PlannedDecisions,
    name: str,
    fingerprint: Fingerprint,
    splits: tuple[Split, ...],
    time: BudgetShares,
    measure: Measure,
    *,
    trained: bool,
) -> tuple[PlannedDecisions, list[tuple[int, StepCost]]]:
    """Fit one configuration to the time; return the new decisions, and work and cost of all steps that were measured.

    Raises:
        PlanError: the configuration is to be trained, and not even its cheapest candidate fits into memory.
    """
    reference = decisions.configuration(name)
    validation_cases = max(len(split.val) for split in splits)
    chooser = Chooser(decisions.plan, fingerprint, validation_cases, time.fold_seconds, measure)
    follows = _following(decisions.plan, name)
    on_gpu = decisions.plan.device == "cuda"
    listed = candidates_on_gpu if on_gpu else candidates
    choice = chooser.choose([follows] if follows else list(listed(reference.value, fingerprint)), confirm=trained)
    if trained and not math.isfinite(choice.step.seconds):
        raise nothing_fits(decisions.plan, name)
    training = short_training(
        reference.part("training"),
        choice.steps,
        choice.training_seconds,
        fingerprint,
        validations=choice.validations,
        device=decisions.plan.device,
    ).changed(validation_seconds=choice.validation_seconds)
    mirror = training.value.mirror if on_gpu else ()
    prediction = short_prediction(reference.value.prediction, mirror)
    configuration = choice.candidate.changed(training=training, prediction=prediction)
    return _replaced(decisions, name, configuration), chooser.points()


def _in_order(plan: Plan, measured: set[str]) -> list[str]:
    """Names of all configurations, measured ones first, and each after the one whose preprocessed cases it reads."""
    return sorted(plan.configurations, key=lambda name: (name not in measured, plan.preprocessed_as(name) != name))


def _estimated_from(points: Sequence[tuple[int, StepCost]]) -> Measure:
    """A function that estimates step costs from measured steps of other configurations, without their memory."""

    def estimate(plan: Plan, configuration: Configuration) -> StepCost:
        return estimated_cost(work_of_a_step(plan, configuration), points)

    return estimate


def _following(plan: Plan, name: str) -> Candidate | None:
    """The only candidate of a configuration that reads another one's preprocessed cases; None where it has its own.

    The candidate takes spacing, patch and network from the other configuration, which is already planned. So the two
    differ only in what the network sees. The number of steps follows from the candidate's own step time.
    """
    source_name = plan.preprocessed_as(name)
    source, own = plan.configurations.get(source_name), plan.configurations[name]
    if source is None or source is own:
        return None
    same = f"as {source_name}: the two differ in what the network sees alone"
    seen = {field: getattr(own, field) for field in INPUT_FIELDS}
    return WithReasons(source.changed(**seen)).changed(
        spacing=Decision(source.spacing, f"that of {source_name}, whose preprocessed cases it reads"),
        median_shape=Decision(source.median_shape, "voxels of the median case at this spacing"),
        patch_size=Decision(source.patch_size, same),
        batch_size=Decision(source.batch_size, same),
        network=WithReasons(source.network, dict.fromkeys(Network.model_fields, same)),
    )


def _without_limit(
    decisions: PlannedDecisions, name: str, fingerprint: Fingerprint, measure: Measure | None
) -> PlannedDecisions:
    """The decisions where one configuration keeps to the reference plan, lowered only to fit into memory.

    The length of its schedule follows from the size of the data set. It does not mirror along an axis where mirroring
    would turn one class into another.

    Args:
        decisions: the reference plan with its reasons.
        name: name of the configuration in the plan, such as `3d`.
        fingerprint: fingerprint of the data set.
        measure: function that measures whether a step fits into memory; None = not checked, for a configuration that
            is not trained now.
    """
    configuration = decisions.configuration(name)
    if measure is not None:
        configuration = fitting(decisions.plan, name, fingerprint, measure)
    schedule = long_schedule(configuration.value, fingerprint)
    return _replaced(decisions, name, configuration.changed(training=schedule.training, prediction=schedule.prediction))


def _replaced(decisions: PlannedDecisions, name: str, configuration: WithReasons[Configuration]) -> PlannedDecisions:
    """The decisions with one configuration replaced; a field for which it has no reason keeps its former reason.

    Configurations that read its preprocessed cases get its spacing too; the rest of them is planned later.
    """
    configurations = {other: WithReasons(c) for other, c in decisions.plan.configurations.items()}
    readers = {
        other: WithReasons(c.changed(spacing=configuration.value.spacing))
        for other, c in decisions.plan.configurations.items()
        if c.preprocessed_as == name != other
    }
    return decisions.changed(configurations=configurations | readers | {name: configuration})
