"""The richest candidate that affords enough training steps, found with few measurements."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from autoseg.fingerprint import Fingerprint
from autoseg.geometry import Shape, Spacing
from autoseg.plan import Configuration, Plan
from autoseg.preprocessing.resample import new_shape_for
from autoseg.step_cost import StepCost
from autoseg.whole_image.windows import window_starts
from planner.candidates import Candidate
from planner.cost import estimated_cost, work_of_a_step

Measure = Callable[[Plan, Configuration], StepCost]

ENOUGH_STEPS = 600
"""Steps of a fold under which a cheaper candidate is taken; see docs/experiments.md."""

AUGMENTATION = 1.03
"""How much slower a step is with the preparation of its patches, the log and the checkpoints."""

MOST_LOOKS, CASES_A_LOOK = 3, 4
"""Whole validation cases predicted on the way."""

SHARE_FOR_LOOKS = 0.05
"""Of a fold's training time, that these may take."""

MOST_MEASUREMENTS = 8


@dataclass(frozen=True)
class Choice:
    """A candidate and what the time affords with it.

    Args:
        step: cost of a training step, measured or estimated.
        steps: of a fold.
        training_seconds: of a fold.
        looks: at whole validation cases on the way.
    """

    candidate: Candidate
    step: StepCost
    steps: int
    training_seconds: float
    looks: int


class Chooser:
    """Chooses among candidates for one configuration.

    Args:
        plan: gives sequences, classes and the memory target.
        fingerprint: gives the cases that are predicted at a fold's end.
        validation_cases: of a fold.
        seconds: for a fold, its validation included.
        measure: costs of a training step.
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

    def choose(self, found: list[Candidate]) -> Choice:
        """The first candidate with enough steps; where none has, the cheapest.

        Estimates come from what was measured so far, so that each measurement is of a candidate that
        may well be the one.
        """
        cheapest = min(found, key=self._work)
        self._cost(cheapest)
        while len(self.measured) < MOST_MEASUREMENTS:
            promising = next((c for c in found if self._affords(c, self._estimate(c))), cheapest)
            if promising in self.measured:
                return self._choice(promising, self._cost(promising))
            self._cost(promising)
        affordable = (c for c in found if c in self.measured and self._affords(c, self._cost(c)))
        taken = next(affordable, cheapest)
        return self._choice(taken, self._cost(taken))

    def points(self) -> list[tuple[int, StepCost]]:
        """Multiply-adds of a step and its cost, of all that were measured and fit into memory."""
        return [(self._work(c), cost) for c, cost in self.measured.items() if math.isfinite(cost.seconds)]

    def _affords(self, candidate: Candidate, step: StepCost) -> bool:
        return math.isfinite(step.seconds) and self._choice(candidate, step).steps >= ENOUGH_STEPS

    def _work(self, candidate: Candidate) -> int:
        return work_of_a_step(self.plan, candidate.configuration)

    def _cost(self, candidate: Candidate) -> StepCost:
        """The measured cost; infinite where the memory target is exceeded."""
        if candidate not in self.measured:
            cost = self.measure(self.plan, candidate.configuration)
            fits = cost.fits(self.plan.memory_gb)
            self.measured[candidate] = cost if fits else replace(cost, seconds=math.inf)
        return self.measured[candidate]

    def _estimate(self, candidate: Candidate) -> StepCost:
        """The cost of a step, measured, or estimated from those that were measured."""
        if candidate in self.measured:
            return self.measured[candidate]
        points = self.points()
        # the cheapest was measured first: where it does not fit none does
        return estimated_cost(self._work(candidate), points) if points else StepCost(math.inf, None)

    def _choice(self, candidate: Candidate, step: StepCost) -> Choice:
        if not math.isfinite(step.seconds):
            return Choice(candidate, step, 1, self.seconds, 0)
        configuration = candidate.configuration
        windows = sum(_windows(case.cropped_shape, case.spacing, configuration) for case in self.fingerprint.cases)
        a_window = step.seconds * step.forward_share / configuration.batch_size
        a_case = windows / len(self.fingerprint.cases) * a_window
        training = max(1.0, self.seconds - a_case * self.validation_cases)
        a_look = a_case * min(CASES_A_LOOK, self.validation_cases)
        looks = min(MOST_LOOKS, int(SHARE_FOR_LOOKS * training / a_look))
        steps = max(1, int((training - looks * a_look) / (AUGMENTATION * step.seconds)))
        return Choice(candidate, step, steps, training, looks)


def _windows(shape: Shape, spacing: Spacing, configuration: Configuration) -> int:
    """Windows of a whole-image prediction of one case."""
    resampled = new_shape_for(shape, spacing, configuration.target_spacing(spacing))
    overlap = configuration.prediction.overlap
    axes = zip(resampled, configuration.patch_size, strict=True)
    return math.prod(len(window_starts(voxels, patch, overlap)) for voxels, patch in axes)
