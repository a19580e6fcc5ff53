"""The richest candidate that affords enough training steps, found with few measurements."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.image.geometry import Shape, Spacing
from autoseg.machine.step_cost import Measure, StepCost, least_that_repeats
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Plan
from autoseg.preprocessing.resample import new_shape_for
from autoseg.whole_image.windows import window_starts
from planner.budget.candidates import Candidate
from planner.budget.cost import estimated_cost, work_of_a_step

ENOUGH_STEPS = 600
"""Steps of a fold under which a cheaper candidate is taken; see docs/experiments/network-size.md."""

AUGMENTATION = 1.03
"""How much slower a step is with the preparation of its patches, the log and the checkpoints."""

MOST_LOOKS, CASES_A_LOOK = 3, 4
"""Whole validation cases predicted on the way."""

SHARE_FOR_LOOKS = 0.05
"""Of a fold's training time, that these may take."""

MOST_MEASUREMENTS = 8
"""Of different candidates at most, before the one that was chosen is looked at again."""

SAME = 1.15
"""Factor up to which two looks at a step are the same: what a machine varies by in quiet."""

MOST_LOOKS_AGAIN = 3

OUT_OF_PROPORTION = 2.0
"""Times as slow for its work as the candidate that is taken, from which a look is thought to have been disturbed."""


@dataclass(frozen=True)
class Choice:
    """A candidate and what the time affords with it.

    Args:
        step: cost of a training step, measured or estimated.
        steps: of a fold.
        training_seconds: of a fold.
        validation_seconds: of predicting the fold's validation cases, also where that is more than the fold has.
        looks: at whole validation cases on the way.
    """

    candidate: Candidate
    step: StepCost
    steps: int
    training_seconds: float
    validation_seconds: float
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

    def choose(self, found: list[Candidate], *, confirm: bool = True) -> Choice:
        """The first candidate with enough steps; where none has, the cheapest.

        Its step is looked at again in the end. Where it is much quicker then, or one that was passed over is out of
        proportion to it, looks fell into a busy moment, and all is measured a second time.

        Args:
            found: in the order in which they are preferred.
            confirm: look again at the step that was chosen.
        """
        taken = self._look_for(found)
        if confirm and (not self._confirmed(taken) or self._passed_over_wrongly(found, taken)):
            self.measured = {taken: self.measured[taken]}
            taken = self._look_for(found)
            self._confirmed(taken)
        return self._choice(taken, self._cost(taken))

    def _look_for(self, found: list[Candidate]) -> Candidate:
        """The first that affords enough steps by what is measured.

        Estimates come from what was measured so far, so that each measurement is of a candidate that
        may well be the one.
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
        """Look at the step again until its least time repeats; False where that is much less than was thought."""
        first = self.measured[taken]
        if not math.isfinite(first.seconds):
            return True
        looks = [first]
        for _ in range(MOST_LOOKS_AGAIN):
            again = self.measure(self.plan, taken.configuration)
            looks += [again] if math.isfinite(again.seconds) else []
            # what was seen while other programs computed counts where nothing else was seen
            quiet = [look for look in looks if not look.disturbed] or looks
            settled = least_that_repeats([look.seconds for look in quiet], SAME)
            if settled is not None:
                break
        else:
            settled = min(look.seconds for look in quiet)
        best = min(quiet, key=lambda look: abs(look.seconds - settled))
        self.measured[taken] = replace(best, peak_bytes=first.peak_bytes)
        return settled * SAME >= first.seconds

    def _passed_over_wrongly(self, found: list[Candidate], taken: Candidate) -> bool:
        """Whether a preferred candidate took far more time for its work than the one that was taken.

        A larger step has less overhead for its work, and is slower for it only where something disturbed it.
        """
        of_taken = self.measured[taken].seconds / self._work(taken)
        preferred = [c for c in found[: found.index(taken)] if c in self.measured]
        slow = [self.measured[c].seconds / self._work(c) for c in preferred]
        return any(math.isfinite(rate) and rate > OUT_OF_PROPORTION * of_taken for rate in slow)

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
            return Choice(candidate, step, 1, self.seconds, 0.0, 0)
        configuration = candidate.configuration
        windows = sum(_windows(case.cropped_shape, case.spacing, configuration) for case in self.fingerprint.cases)
        a_window = step.seconds * step.forward_share / configuration.batch_size
        a_case = windows / len(self.fingerprint.cases) * a_window
        training = max(1.0, self.seconds - a_case * self.validation_cases)
        a_look = a_case * min(CASES_A_LOOK, self.validation_cases)
        looks = min(MOST_LOOKS, int(SHARE_FOR_LOOKS * training / a_look))
        steps = max(1, int((training - looks * a_look) / (AUGMENTATION * step.seconds)))
        return Choice(candidate, step, steps, training, a_case * self.validation_cases, looks)


def _windows(shape: Shape, spacing: Spacing, configuration: Configuration) -> int:
    """Windows of a whole-image prediction of one case."""
    resampled = new_shape_for(shape, spacing, configuration.target_spacing(spacing))
    overlap = configuration.prediction.overlap
    axes = zip(resampled, configuration.patch_size, strict=True)
    return math.prod(len(window_starts(voxels, patch, overlap)) for voxels, patch in axes)
