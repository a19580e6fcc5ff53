"""From the reference plan to what the hardware and the time at hand afford.

In: the reference plan, the fingerprint, a time budget, and a function that measures a real training
step. Out: the plan that is followed. On a GPU without a budget the reference plan stands; otherwise
the richest candidate is taken whose measured step allows enough steps in each fold's time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from autoseg.fingerprint import Fingerprint
from autoseg.plan import Configuration, Plan
from autoseg.splits import Split
from autoseg.step_cost import StepCost
from planner.candidates import Candidate, candidates
from planner.cost import multiply_adds
from planner.reference import PlannedDecisions
from planner.short_schedule import REASONS, short_prediction, short_training

Measure = Callable[[Plan, Configuration], StepCost]

ENOUGH_STEPS = 600
"""Steps of a fold under which a cheaper candidate is better; see docs/experiments.md."""

SECONDS_A_CASE = 0.6
SECONDS_A_FOLD = 12.0
SHARE_UNPLANNED = 0.03
"""Time kept back: preprocessing and report by case, start-up and validation by fold, and the unforeseen."""

AUGMENTATION = 1.06
"""How much slower a step is with the preparation of its patches, the log and the checkpoints."""

FORWARD_SHARE = 1 / 3
GPU_PASSES = 600
GPU_STEPS = (12_500, 250_000)
"""A GPU's default length: so many passes over the data set's voxels, within these bounds."""


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
    """
    plan = decisions.plan.model_copy(update={"device": device, "time_budget_seconds": budget_seconds})
    reasons = decisions.reasons | {
        "device": "where the plan was made for",
        "time_budget_seconds": "for the whole run, restarts included" if budget_seconds else "no limit was given",
    }
    fitted = PlannedDecisions(plan, reasons)
    if budget_seconds is None:
        for name in configurations:
            fitted = _fitted_to_memory(fitted, name, fingerprint, measure)
        return fitted
    time = divide_time(budget_seconds, spent_seconds, len(fingerprint.cases), len(splits), len(configurations))
    for name in plan.configurations:
        # configurations that are not trained now are planned as if each had the time alone
        fitted = _fitted_to_time(fitted, name, fingerprint, splits, time, measure, name in configurations)
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
    trained: bool,
) -> PlannedDecisions:
    plan = decisions.plan
    reference = plan.configurations[name]
    validation_cases = max(len(split.val) for split in splits)
    chooser = _Chooser(plan, fingerprint, validation_cases, time.fold_seconds, measure)
    choice = chooser.choose(list(candidates(reference, fingerprint)), measured=trained)
    training = short_training(reference.training, choice.steps, choice.training_seconds, fingerprint)
    configuration = choice.candidate.configuration.model_copy(
        update={"training": training, "prediction": short_prediction(reference.prediction)}
    )
    reasons = dict(decisions.reasons)
    prefix = f"configurations.{name}."
    for field, reason in _reasons(reference, choice, time).items():
        reasons[prefix + field] = reason
    return PlannedDecisions(
        plan.model_copy(update={"configurations": plan.configurations | {name: configuration}}), reasons
    )


@dataclass(frozen=True)
class Choice:
    """The candidate that was taken.

    Args:
        step_seconds: measured (or, for one not trained now, estimated) time of a training step.
        steps: that the time affords.
        training_seconds: of a fold.
        validation_seconds: of predicting its validation cases, estimated.
    """

    candidate: Candidate
    step_seconds: float
    steps: int
    training_seconds: float
    validation_seconds: float


class _Chooser:
    """Finds the richest candidate that affords enough steps; measures as few as possible."""

    def __init__(
        self, plan: Plan, fingerprint: Fingerprint, validation_cases: int, seconds: float, measure: Measure
    ) -> None:
        self.plan = plan
        self.fingerprint = fingerprint
        self.validation_cases = validation_cases
        self.seconds = seconds
        self.measure = measure
        self.seconds_per_multiply_add = 0.0

    def choose(self, found: list[Candidate], measured: bool) -> Choice:
        """The first candidate with enough steps; where none has, the one with the most."""
        cheapest = min(found, key=self._work)
        self._calibrate(cheapest.configuration)
        for candidate in found:
            if self._estimated(candidate).steps < ENOUGH_STEPS:
                continue
            choice = self._measured(candidate) if measured else self._estimated(candidate)
            if choice.steps >= ENOUGH_STEPS:
                return choice
        return self._measured(cheapest) if measured else self._estimated(cheapest)

    def _work(self, candidate: Candidate) -> int:
        c = candidate.configuration
        return c.batch_size * multiply_adds(c.network, c.patch_size, len(self.plan.channels), self.plan.labels.classes)

    def _calibrate(self, configuration: Configuration) -> None:
        cost = self.measure(self.plan, configuration)
        work = self._work(Candidate(configuration, 0, 1.0, 1.0))
        self.seconds_per_multiply_add = cost.seconds / work

    def _measured(self, candidate: Candidate) -> Choice:
        return self._choice(candidate, self.measure(self.plan, candidate.configuration).seconds)

    def _estimated(self, candidate: Candidate) -> Choice:
        # small networks are slower by multiply-add than large ones: the estimate errs to too slow,
        # by at most what the tolerance gives back, and the measurement decides
        return self._choice(candidate, 0.8 * self.seconds_per_multiply_add * self._work(candidate))

    def _choice(self, candidate: Candidate, step_seconds: float) -> Choice:
        configuration = candidate.configuration
        windows = sum(_windows(case.cropped_shape, case.spacing, configuration) for case in self.fingerprint.cases)
        a_case = windows / len(self.fingerprint.cases) * step_seconds * FORWARD_SHARE / configuration.batch_size
        # whole cases are predicted at the end, and four of them three times on the way
        validation = a_case * (self.validation_cases + 3 * min(4, self.validation_cases))
        training = max(1.0, self.seconds - a_case * self.validation_cases)
        steps = max(1, int((training - (validation - a_case * self.validation_cases)) / (AUGMENTATION * step_seconds)))
        return Choice(candidate, step_seconds, steps, training, validation)


def _windows(shape: tuple[int, int, int], spacing: tuple[float, float, float], configuration: Configuration) -> int:
    """Windows of a whole-image prediction of one case."""
    target = configuration.target_spacing(spacing)
    count = 1
    for axis in range(3):
        voxels = shape[axis] * spacing[axis] / target[axis]
        patch = configuration.patch_size[axis]
        step = max(1.0, patch * (1 - configuration.prediction.overlap))
        count *= 1 + max(0, math.ceil((voxels - patch) / step - 1e-6))
    return count


def _reasons(reference: Configuration, choice: Choice, time: TimeForTraining) -> dict[str, str]:
    candidate = choice.candidate
    step = f"a step takes {choice.step_seconds:.2f} s"
    resolution = (
        "the reference's spacing: the time affords it, or structures allow no coarser one"
        if candidate.coarsening == 1
        else f"coarser by a factor of {candidate.coarsening:.2f} than the reference's, to save time"
    )
    reasons = {f"training.{field}": reason for field, reason in REASONS.items()}
    return reasons | {
        "spacing": resolution,
        "median_shape": "voxels of the median case at this spacing",
        "patch_size": f"sees {min(candidate.share, 1):.0%} of the median case",
        "batch_size": f"{reference.batch_size} in the reference plan: more steps are better than larger ones",
        "network": f"{candidate.features} features at the first stage, as many as the time affords",
        "training.iterations": (
            f"{step}, {AUGMENTATION:.2f} times that with augmentation and checkpoints: what {choice.training_seconds:.0f} s afford"
        ),
        "training.iterations_per_epoch": "a twentieth of the steps",
        "training.seconds": f"a fold has {time.fold_seconds:.0f} s, less the prediction of its validation cases",
        "training.mirror": "see docs/plan.md: short schedules do without, and never where classes differ by side",
        "prediction.mirror": "off: each mirrored image costs as much again",
    }


def _fitted_to_memory(
    decisions: PlannedDecisions, name: str, fingerprint: Fingerprint, measure: Measure
) -> PlannedDecisions:
    """The reference configuration with a length that follows from the data, a smaller batch if it does not fit."""
    plan = decisions.plan
    configuration = plan.configurations[name]
    voxels = sum(_voxels(case.cropped_shape, case.spacing, configuration) for case in fingerprint.cases)
    batch_voxels = configuration.batch_size * math.prod(configuration.patch_size)
    per_epoch = configuration.training.iterations_per_epoch
    wanted = min(max(GPU_PASSES * voxels / batch_voxels, GPU_STEPS[0]), GPU_STEPS[1])
    steps = math.ceil(wanted / per_epoch) * per_epoch
    reasons = dict(decisions.reasons)
    prefix = f"configurations.{name}."
    reasons[prefix + "training.iterations"] = (
        f"{GPU_PASSES} passes over the training voxels, between {GPU_STEPS[0]} and {GPU_STEPS[1]} steps"
    )
    batch = configuration.batch_size
    while batch > 1 and not _fits(plan, configuration, batch, measure):
        batch -= 1
        reasons[prefix + "batch_size"] = "what fits into memory, measured by a forward and backward pass"
    fitted = configuration.model_copy(
        update={
            "batch_size": batch,
            "training": configuration.training.model_copy(update={"iterations": steps}),
        }
    )
    return PlannedDecisions(plan.model_copy(update={"configurations": plan.configurations | {name: fitted}}), reasons)


def _fits(plan: Plan, configuration: Configuration, batch: int, measure: Measure) -> bool:
    cost = measure(plan, configuration.model_copy(update={"batch_size": batch}))
    return math.isfinite(cost.seconds) and cost.peak_bytes <= plan.memory_gb * 2**30


def _voxels(shape: tuple[int, int, int], spacing: tuple[float, float, float], configuration: Configuration) -> float:
    target = configuration.target_spacing(spacing)
    return math.prod(n * s / t for n, s, t in zip(shape, spacing, target, strict=True))
