"""Choose the richest candidate that affords enough training steps, with few measurements.

In: the candidates of a configuration, the time of a fold, and a function that measures a training step. Out: a
`Choice`: one candidate, and the steps and validations that the time affords with it, with the reasons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.image.geometry import Shape, Spacing
from autoseg.machine.step_cost import Measure, StepCost, least_that_repeats
from autoseg.plan.configuration import Configuration
from autoseg.plan.decision import Decision
from autoseg.plan.plan import Plan
from autoseg.plan.time_shares import FoldShares, divide_fold
from autoseg.preprocessing.resample import new_shape_for
from autoseg.whole_image.windows import window_starts
from planner.additions.mirroring import allowed_axes
from planner.budget.cost import estimated_cost, work_of_a_step
from planner.budget.network_candidates import Candidate
from planner.budget.short_schedule import STEPS_FOR_MIRRORING_ON_GPU

ENOUGH_STEPS = 600
"""A candidate must afford this many steps per fold, else a cheaper one is taken (docs/experiments/network-size.md)."""

ENOUGH_STEPS_FOR_LESIONS = 1200
"""The same where the plan has lesions: a smaller patch in more steps finds more (docs/experiments/lesions.md)."""

ENOUGH_STEPS_ON_GPU = 5000
"""The same on a CUDA device, which keeps nnU-Net's patch and batch so long; not measured yet."""

AUGMENTATION_FACTOR = 1.03
"""Factor by which a step in training is slower than a measured one: patch preparation, log and checkpoints."""

MOST_MEASUREMENTS = 8
"""Maximum number of candidates that are measured before the chosen one is measured again."""

SAME_FACTOR = 1.15
"""Two measurements of a step agree up to this factor, by which an undisturbed machine varies."""

MOST_MEASUREMENTS_AGAIN = 3
"""Maximum number of further measurements of the chosen candidate."""

OUT_OF_PROPORTION_FACTOR = 2.0
"""A measurement counts as disturbed if its time per multiply-add exceeds the chosen candidate's by this factor."""


@dataclass(frozen=True)
class Choice:
    """A candidate and what the time of a fold affords with it.

    Args:
        candidate: the candidate that is chosen.
        step: cost of one training step, measured or estimated.
        steps: number of training steps of a fold.
        training_seconds: seconds of training of a fold, including validations during training.
        validation_seconds: seconds to predict the fold's validation cases at its end; may exceed the time of the fold.
        validations: number of validations on whole cases during training.
    """

    candidate: Candidate
    step: StepCost
    steps: Decision[int]
    training_seconds: Decision[float]
    validation_seconds: Decision[float]
    validations: int


class Chooser:
    """Chooses among the candidates for one configuration, and remembers what was measured.

    Args:
        plan: plan that holds the sequences, the classes and the memory target.
        fingerprint: fingerprint with the shapes of the cases, from which prediction time is estimated.
        validation_cases: number of validation cases of a fold.
        seconds: time of a fold in seconds, including the prediction of its validation cases.
        measure: function that measures the cost of a training step.
    """

    def __init__(
        self, plan: Plan, fingerprint: Fingerprint, validation_cases: int, seconds: float, measure: Measure
    ) -> None:
        self.plan = plan
        self.fingerprint = fingerprint
        self.validation_cases = validation_cases
        self.seconds = seconds
        self.measure = measure
        self.measured: dict[Candidate, StepCost] = {}

    def choose(self, found: list[Candidate], *, confirm: bool = True) -> Choice:
        """The first candidate that affords enough steps; where none does, the cheapest.

        In the end the step of the chosen candidate is measured again. If it is much faster then, or if a preferred
        candidate that was rejected is too slow for its work, the machine was busy during a measurement, and the choice
        is made a second time with new measurements.

        Args:
            found: candidates, the preferred ones first.
            confirm: whether the step of the chosen candidate is measured again.
        """
        taken = self._search(found)
        if confirm and (not self._confirmed(taken) or self._passed_over_wrongly(found, taken)):
            self.measured = {taken: self.measured[taken]}
            taken = self._search(found)
            self._confirmed(taken)
        return self._choice(taken, self._cost(taken))

    def _search(self, found: list[Candidate]) -> Candidate:
        """The first candidate that affords enough steps by its measured cost, else the cheapest.

        Costs of other candidates are estimated from the measurements so far. So only candidates that are likely to be
        chosen are measured.
        """
        cheapest = min(found, key=self._work)
        self._cost(cheapest)
        while len(self.measured) < MOST_MEASUREMENTS - 1:
            promising = next((c for c in found if self._affords(c, self._estimate(c))), cheapest)
            if promising in self.measured:
                return promising
            self._cost(promising)
        affordable = (c for c in found if c in self.measured and self._affords(c, self._cost(c)))
        return next(affordable, cheapest)

    def _confirmed(self, taken: Candidate) -> bool:
        """Measure the step again until its shortest time repeats; False if that is much less than the first time."""
        first = self.measured[taken]
        if not math.isfinite(first.seconds):
            return True
        measured = [first]
        for _ in range(MOST_MEASUREMENTS_AGAIN):
            again = self.measure(self.plan, taken.value)
            measured += [again] if math.isfinite(again.seconds) else []
            # a measurement beside other programs counts only where there is no undisturbed one
            quiet = [one for one in measured if not one.disturbed] or measured
            settled = least_that_repeats([one.seconds for one in quiet], SAME_FACTOR)
            if settled is not None:
                break
        else:
            settled = min(one.seconds for one in quiet)
        best = min(quiet, key=lambda one: abs(one.seconds - settled))
        self.measured[taken] = replace(best, peak_bytes=first.peak_bytes)
        return settled * SAME_FACTOR >= first.seconds

    def _passed_over_wrongly(self, found: list[Candidate], taken: Candidate) -> bool:
        """Whether a preferred candidate took far more time per multiply-add than the one that was taken.

        A larger step has less overhead per multiply-add. It takes more time only if other programs disturbed it.
        """
        of_taken = self.measured[taken].seconds / self._work(taken)
        preferred = [c for c in found[: found.index(taken)] if c in self.measured]
        slow = [self.measured[c].seconds / self._work(c) for c in preferred]
        return any(math.isfinite(rate) and rate > OUT_OF_PROPORTION_FACTOR * of_taken for rate in slow)

    def points(self) -> list[tuple[int, StepCost]]:
        """Multiply-adds and cost of one step, for each candidate that was measured and fits into memory."""
        return [(self._work(c), cost) for c, cost in self.measured.items() if math.isfinite(cost.seconds)]

    def _affords(self, candidate: Candidate, step: StepCost) -> bool:
        return math.isfinite(step.seconds) and self._shares(candidate.value, step).steps >= enough_steps(self.plan)

    def _work(self, candidate: Candidate) -> int:
        return work_of_a_step(self.plan, candidate.value)

    def _cost(self, candidate: Candidate) -> StepCost:
        """The measured cost of a step; infinite seconds where it exceeds the memory target."""
        if candidate not in self.measured:
            cost = self.measure(self.plan, candidate.value)
            fits = cost.fits(self.plan.memory_gb)
            self.measured[candidate] = cost if fits else replace(cost, seconds=math.inf)
        return self.measured[candidate]

    def _estimate(self, candidate: Candidate) -> StepCost:
        """The measured cost of a step, or an estimate from the candidates that were measured."""
        if candidate in self.measured:
            return self.measured[candidate]
        points = self.points()
        # the cheapest candidate is measured first: if it does not fit into memory, no candidate does
        return estimated_cost(self._work(candidate), points) if points else StepCost(math.inf, None)

    def _choice(self, candidate: Candidate, step: StepCost) -> Choice:
        fold = self._shares(candidate.value, step)
        a_fold = f"a fold has {self.seconds:.0f} s, less the prediction of its validation cases"
        return Choice(
            candidate,
            step,
            Decision(fold.steps, _why_so_many_steps(step, fold.training_seconds)),
            Decision(fold.training_seconds, a_fold),
            Decision(fold.validation_seconds, "what predicting the fold's validation cases is expected to take"),
            fold.validations,
        )

    def _shares(self, configuration: Configuration, step: StepCost) -> FoldShares:
        """How the time of a fold is divided with a configuration; one step where its step does not fit into memory."""
        if not math.isfinite(step.seconds):
            return FoldShares(1, self.seconds, 0.0, 0)
        windows = sum(_windows(case.cropped_shape, case.spacing, configuration) for case in self.fingerprint.cases)
        a_window = step.seconds * step.forward_share / configuration.batch_size
        a_case = windows / len(self.fingerprint.cases) * a_window
        of_step = AUGMENTATION_FACTOR * step.seconds
        if self.plan.device == "cuda":
            # a GPU predicts mirrored images too, where training mirrors
            axes = allowed_axes(configuration.training.mirror, self.fingerprint).value
            fold = divide_fold(self.seconds, of_step, a_case, self.validation_cases, passes=2 ** len(axes))
            if fold.steps >= STEPS_FOR_MIRRORING_ON_GPU:
                return fold
        return divide_fold(self.seconds, of_step, a_case, self.validation_cases)


def enough_steps(plan: Plan) -> int:
    """Number of steps of a fold that a candidate must afford."""
    if plan.device == "cuda":
        return ENOUGH_STEPS_ON_GPU
    return ENOUGH_STEPS_FOR_LESIONS if plan.lesions else ENOUGH_STEPS


def _why_so_many_steps(step: StepCost, training_seconds: float) -> str:
    """The reason for the number of training steps of a fold.

    Args:
        step: cost of one training step, measured or estimated.
        training_seconds: seconds of training of the fold.
    """
    why = (
        f"a step takes {step.seconds:.3g} s, {AUGMENTATION_FACTOR:.2f} times that with augmentation and "
        f"checkpoints: what {training_seconds:.0f} s afford"
    )
    if step.peak_bytes is None:
        why += "; estimated from its work, not measured, its memory not checked"
    if step.disturbed:
        why += f"; measured while other programs used {step.others:.1f} cores, by processor time"
    return why


def _windows(shape: Shape, spacing: Spacing, configuration: Configuration) -> int:
    """Number of sliding windows in the prediction of one whole case."""
    resampled = new_shape_for(shape, spacing, configuration.target_spacing(spacing))
    overlap = configuration.prediction.overlap
    axes = zip(resampled, configuration.patch_size, strict=True)
    return math.prod(len(window_starts(voxels, patch, overlap)) for voxels, patch in axes)
