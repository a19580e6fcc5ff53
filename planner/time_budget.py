"""From the reference plan to what the hardware and the time at hand afford.

In: the reference plan, the fingerprint, a time budget, and a function that measures a real training
step. Out: the plan that is followed. On a GPU without a budget the reference plan stands; otherwise
the richest candidate is taken whose measured step allows enough steps in each fold's time.
"""

from __future__ import annotations

from dataclasses import dataclass

from autoseg.fingerprint import Fingerprint
from autoseg.plan import Configuration, Network
from autoseg.splits import Split
from planner.candidates import candidates
from planner.chooser import AUGMENTATION, Choice, Chooser, Measure
from planner.long_schedule import long_schedule
from planner.memory_check import fitting
from planner.reference import PlannedDecisions
from planner.short_schedule import REASONS, mirrored_axes, short_prediction, short_training

SECONDS_A_CASE = 0.4
SECONDS_A_FOLD = 6.0
SHARE_UNPLANNED = 0.02
"""Time kept back: preprocessing and report by case, start-up by fold, and the unforeseen."""


@dataclass(frozen=True)
class TimeForTraining:
    """How a budget is divided.

    Args:
        fold_seconds: for one fold of one configuration, its validation included.
        kept_back: for everything else that is still to come.
    """

    fold_seconds: float
    kept_back: float


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
    """The plan that is followed on this machine within the time.

    Args:
        decisions: the reference plan.
        fingerprint: of the data set.
        splits: the folds, which share the time.
        configurations: those that will be trained, which share it too.
        budget_seconds: for the whole run; None = no limit.
        spent_seconds: of it, so far.
        device: type of the device, such as `cpu`.
        measure: measures a training step of a configuration on it.

    Raises:
        PlanError: nothing fits into memory.
    """
    fitted = PlannedDecisions(
        decisions.plan.model_copy(update={"device": device, "time_budget_seconds": budget_seconds}),
        decisions.reasons
        | {
            "device": "where the plan was made for",
            "time_budget_seconds": "for the whole run, restarts included" if budget_seconds else "no limit was given",
        },
    )
    time = None
    if budget_seconds is not None:
        time = divide_time(budget_seconds, spent_seconds, len(fingerprint.cases), len(splits), len(configurations))
    # a configuration that is not trained now is planned as if it had one's share of the time
    for name in fitted.plan.configurations:
        if time:
            fitted = _fitted_to_time(fitted, name, fingerprint, splits, time, measure)
        else:
            fitted = _without_limit(fitted, name, fingerprint, measure if name in configurations else None)
    return fitted


def divide_time(budget: float, spent: float, cases: int, folds: int, configurations: int) -> TimeForTraining:
    """Equal shares for every fold of every configuration, after what else is to be done."""
    trainings = folds * configurations
    kept_back = SHARE_UNPLANNED * budget + SECONDS_A_CASE * cases * configurations + SECONDS_A_FOLD * trainings
    return TimeForTraining(max(1.0, (budget - spent - kept_back) / trainings), kept_back)


def _fitted_to_time(
    decisions: PlannedDecisions,
    name: str,
    fingerprint: Fingerprint,
    splits: tuple[Split, ...],
    time: TimeForTraining,
    measure: Measure,
) -> PlannedDecisions:
    reference = decisions.plan.configurations[name]
    validation_cases = max(len(split.val) for split in splits)
    chooser = Chooser(decisions.plan, fingerprint, validation_cases, time.fold_seconds, measure)
    choice = chooser.choose(list(candidates(reference, fingerprint)))
    training = short_training(
        reference.training, choice.steps, choice.training_seconds, fingerprint, looks=choice.looks
    )
    configuration = choice.candidate.configuration.model_copy(
        update={"training": training, "prediction": short_prediction(reference.prediction)}
    )
    return _replaced(decisions, name, configuration, _reasons(reference, choice, time, fingerprint))


def _without_limit(
    decisions: PlannedDecisions, name: str, fingerprint: Fingerprint, measure: Measure | None
) -> PlannedDecisions:
    """The reference configuration, its length by the data, never mirrored where that turns a class into another.

    Args:
        decisions: the reference plan.
        name: of the configuration.
        fingerprint: of the data set.
        measure: tells whether it fits into memory; None for one that is not trained now, which need not.
    """
    configuration = decisions.plan.configurations[name]
    lowered = None if measure is None else fitting(decisions.plan, name, fingerprint, measure)
    reasons: dict[str, str] = {}
    if lowered is not None:
        configuration = lowered.value
        reasons |= {"patch_size": lowered.reason, "batch_size": lowered.reason}
    schedule = long_schedule(configuration, fingerprint)
    configuration = configuration.model_copy(update={"training": schedule.training, "prediction": schedule.prediction})
    return _replaced(decisions, name, configuration, reasons | schedule.reasons)


def _replaced(
    decisions: PlannedDecisions, name: str, configuration: Configuration, reasons: dict[str, str]
) -> PlannedDecisions:
    """The decisions with one configuration, and the reasons of its fields, in place of the former."""
    prefix = f"configurations.{name}."
    return PlannedDecisions(
        decisions.plan.model_copy(update={"configurations": decisions.plan.configurations | {name: configuration}}),
        decisions.reasons | {prefix + field: reason for field, reason in reasons.items()},
    )


def _reasons(
    reference: Configuration, choice: Choice, time: TimeForTraining, fingerprint: Fingerprint
) -> dict[str, str]:
    candidate = choice.candidate
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
            f"a step takes {choice.step_seconds:.3g} s, {AUGMENTATION:.2f} times that with augmentation and "
            f"checkpoints: what {choice.training_seconds:.0f} s afford"
        ),
        "training.iterations_per_epoch": "a twentieth of the steps",
        "training.validate_every": f"whole validation cases are looked at {choice.looks} times on the way",
        "training.seconds": f"a fold has {time.fold_seconds:.0f} s, less the prediction of its validation cases",
        "training.mirror": mirrored_axes(reference.training, choice.steps, fingerprint).reason,
        "prediction.mirror": "off: each mirrored image costs as much again",
    }


def _blocks(network: Network, blocks: int) -> str:
    if network.architecture == "plain" and blocks == 1:
        return "one convolution instead of two where the work is greatest, to save time"
    return f"what the architecture {network.architecture} has"
