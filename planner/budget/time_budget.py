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
from autoseg.plan.plan import Plan
from autoseg.plan.time_shares import BudgetShares, divide_budget
from autoseg.run_folder.splits import Split
from planner.additions.lesion_loss import with_lesion_loss
from planner.budget.candidates import Candidate, candidates
from planner.budget.chooser import AUGMENTATION, Choice, Chooser
from planner.budget.cost import estimated_cost, tell_a_line, work_of_a_step
from planner.budget.long_schedule import long_schedule
from planner.budget.memory_check import fitting, nothing_fits
from planner.budget.short_schedule import (
    REASONS,
    affordable_dropout,
    mirrored_axes,
    peak_rate,
    short_prediction,
    short_training,
)
from planner.rules.reference_plan import PlannedDecisions

INPUT_FIELDS = ("neighbours", "sequences", "availability_code", "preprocessed_as")
"""Fields of a configuration that decide what its network sees, and from which preprocessed cases."""

ESTIMATED = "; estimated from its work, not measured, its memory not checked"

BESIDE_OTHERS = "; measured while other programs used {:.1f} cores, by processor time"


def fit_to_hardware(
    decisions: PlannedDecisions,
    fingerprint: Fingerprint,
    splits: tuple[Split, ...],
    *,
    configurations: tuple[str, ...],
    budget_seconds: float | None,
    spent_seconds: float,
    device: str,
    measure: Measure,
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
        measure: function that measures a training step of a configuration on the device. For configurations that are
            not trained now, the step is estimated from these measurements where they suffice to fit a line.

    Raises:
        PlanError: not even the smallest network or patch of a configuration fits into memory.
    """
    fitted = PlannedDecisions(
        decisions.plan.changed(device=device, time_budget_seconds=budget_seconds),
        decisions.reasons
        | {
            "device": "where the plan was made for",
            "time_budget_seconds": "for the whole run, restarts included" if budget_seconds else "no limit was given",
        },
    )
    # decided before a step is measured, because this loss is part of the step's time
    fitted = with_lesion_loss(fitted, fingerprint)
    time = None
    if budget_seconds is not None:
        time = divide_budget(budget_seconds, spent_seconds, len(fingerprint.cases), len(splits), len(configurations))
    # a configuration that reads the cases of another also has its patch and network, so the other is measured too
    measured = {*configurations, *map(fitted.plan.preprocessed_as, configurations)}
    known: list[tuple[int, StepCost]] = []
    for name in _in_order(fitted.plan, measured):
        if not time:
            fitted = _without_limit(fitted, name, fingerprint, measure if name in configurations else None)
        elif name in measured or not tell_a_line(known):
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
    reference = decisions.plan.configurations[name]
    validation_cases = max(len(split.val) for split in splits)
    chooser = Chooser(decisions.plan, fingerprint, validation_cases, time.fold_seconds, measure)
    follows = _following(decisions.plan, name)
    choice = chooser.choose([follows] if follows else list(candidates(reference, fingerprint)), confirm=trained)
    if trained and not math.isfinite(choice.step.seconds):
        raise nothing_fits(decisions.plan, name)
    fold = choice.fold
    training = short_training(
        reference.training, fold.steps, fold.training_seconds, fingerprint, looks=fold.looks
    ).changed(validation_seconds=fold.validation_seconds)
    configuration = choice.candidate.configuration.changed(
        training=training, prediction=short_prediction(reference.prediction)
    )
    reasons = _reasons(reference, choice, time, fingerprint)
    if reference.training.sequence_dropout:
        field = "training.sequence_dropout"
        why = (
            decisions.reasons.get(f"configurations.{name}.{field}"),
            affordable_dropout(reference.training, fold.steps).reason,
        )
        reasons[field] = "; ".join(filter(None, why))
    if follows:
        reasons |= _reasons_to_follow(decisions.plan.preprocessed_as(name), configuration)
    return _replaced(decisions, name, configuration, reasons), chooser.points()


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
    source = plan.configurations.get(plan.preprocessed_as(name))
    own = plan.configurations[name]
    if source is None or source is own:
        return None
    kept = {field: getattr(own, field) for field in INPUT_FIELDS}
    configuration = source.changed(**kept)
    share = math.prod(configuration.patch_size) / math.prod(configuration.median_shape)
    return Candidate(configuration, configuration.network.features[0], 1.0, share)


def _without_limit(
    decisions: PlannedDecisions, name: str, fingerprint: Fingerprint, measure: Measure | None
) -> PlannedDecisions:
    """The decisions where one configuration keeps to the reference plan, lowered only to fit into memory.

    The length of its schedule follows from the size of the data set. It does not mirror along an axis where mirroring
    would turn one class into another.

    Args:
        decisions: the reference plan with its reasons.
        name: name of the configuration.
        fingerprint: fingerprint of the data set.
        measure: function that measures whether a step fits into memory; None = not checked, for a configuration that
            is not trained now.
    """
    configuration = decisions.plan.configurations[name]
    lowered = None if measure is None else fitting(decisions.plan, name, fingerprint, measure)
    reasons: dict[str, str] = {}
    if lowered is not None:
        configuration = lowered.value
        reasons |= {"patch_size": lowered.reason, "batch_size": lowered.reason}
    schedule = long_schedule(configuration, fingerprint)
    configuration = configuration.changed(training=schedule.training, prediction=schedule.prediction)
    return _replaced(decisions, name, configuration, reasons | schedule.reasons)


def _replaced(
    decisions: PlannedDecisions, name: str, configuration: Configuration, reasons: dict[str, str]
) -> PlannedDecisions:
    """The decisions with one configuration and the reasons of its fields replaced.

    Configurations that read its preprocessed cases get its spacing too; the rest of them is planned later.
    """
    prefix = f"configurations.{name}."
    readers = {
        other: c.changed(spacing=configuration.spacing)
        for other, c in decisions.plan.configurations.items()
        if c.preprocessed_as == name != other
    }
    return PlannedDecisions(
        decisions.plan.changed(configurations=decisions.plan.configurations | readers | {name: configuration}),
        decisions.reasons | {prefix + field: reason for field, reason in reasons.items()},
    )


def _reasons(
    reference: Configuration, choice: Choice, time: BudgetShares, fingerprint: Fingerprint
) -> dict[str, str]:
    candidate, fold = choice.candidate, choice.fold
    network = candidate.configuration.network
    resolution = (
        "the reference's: the time affords it, or structures allow no coarser one"
        if candidate.coarsening == 1
        else f"coarser by a factor of {candidate.coarsening:.2f} than the reference's, to save time"
    )
    return {f"training.{field}": reason for field, reason in REASONS.items()} | {
        "spacing": resolution,
        "median_shape": "voxels of the median case at this spacing",
        "patch_size": f"sees {min(candidate.share, 1):.0%} of the median case",
        "batch_size": f"{reference.batch_size} in the reference plan: more steps are better than larger ones",
        "network.architecture": f"{len(network.features)} stages, by nnU-Net's rules for this patch",
        "network.encoder_blocks": _blocks(network, network.encoder_blocks[0]),
        "network.decoder_blocks": _blocks(network, network.decoder_blocks[0]),
        "network.features": f"{candidate.features} at the first stage: as many as the time affords",
        "training.iterations": (
            f"a step takes {choice.step.seconds:.3g} s, {AUGMENTATION:.2f} times that with augmentation and "
            f"checkpoints: what {fold.training_seconds:.0f} s afford"
            + (ESTIMATED if choice.step.peak_bytes is None else "")
            + (BESIDE_OTHERS.format(choice.step.others) if choice.step.disturbed else "")
        ),
        "training.iterations_per_epoch": "a twentieth of the steps",
        "training.validate_every": f"whole validation cases are looked at {fold.looks} times on the way",
        "training.validation_seconds": "what predicting the fold's validation cases is expected to take",
        "training.seconds": f"a fold has {time.fold_seconds:.0f} s, less the prediction of its validation cases",
        "training.learning_rate": peak_rate(fold.steps).reason,
        "training.mirror": mirrored_axes(reference.training, fold.steps, fingerprint).reason,
        "prediction.mirror": "off: each mirrored image costs as much again",
    }


def _reasons_to_follow(source: str, configuration: Configuration) -> dict[str, str]:
    same = f"as {source}: the two differ in what the network sees alone"
    fields = ("patch_size", "batch_size", *(f"network.{field}" for field in type(configuration.network).model_fields))
    return dict.fromkeys(fields, same) | {"spacing": f"that of {source}, whose preprocessed cases it reads"}


def _blocks(network: Network, blocks: int) -> str:
    if network.architecture == "plain" and blocks == 1:
        return "one convolution instead of two where the work is greatest, to save time"
    return f"what the architecture {network.architecture} has"
