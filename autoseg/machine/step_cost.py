"""The cost of one training step, in the form in which the trainer measures it for the planner."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autoseg.machine.other_programs import DISTURBING
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Plan

FORWARD_SHARE = 1 / 3
"""Share of a training step's time that a forward pass in prediction takes with the same dtype.

The backward pass takes twice as long as the forward pass.
"""


@dataclass(frozen=True)
class StepCost:
    """Cost of one training step: forward pass, backward pass and the optimiser's update.

    Args:
        seconds: wall time of the step while nothing else computes; infinite where it does not fit into memory.
        peak_bytes: largest memory that the step takes, in bytes; None where the time was estimated and the memory
            is not known.
        forward_share: share of `seconds` that a forward pass in prediction takes.
        others: mean number of cores that other programs used during the measurement. From `DISTURBING` on, `seconds`
            does not come from the wall clock alone.
    """

    seconds: float
    peak_bytes: int | None
    forward_share: float = FORWARD_SHARE
    others: float = 0.0

    def fits(self, memory_gb: float) -> bool:
        """Whether the step fits into `memory_gb` of memory; where its memory is not known, it counts as fitting."""
        return math.isfinite(self.seconds) and (self.peak_bytes or 0) <= memory_gb * 2**30

    @property
    def disturbed(self) -> bool:
        """Whether other programs computed while the step was measured."""
        return self.others >= DISTURBING


Measure = Callable[[Plan, Configuration], StepCost]


def least_that_repeats(measurements: Sequence[float], within: float) -> float | None:
    """Return the smallest of several measurements that another measurement confirms; None where there is none.

    Disturbances make a step slower and never faster, so that the smallest measurement is nearest to an undisturbed
    step. That it is confirmed excludes an error of the clock.

    Args:
        measurements: seconds of the same training step, measured at different moments.
        within: largest factor between two measurements that confirm each other.
    """
    ordered = sorted(measurements)
    return next((a for a, b in itertools.pairwise(ordered) if b <= within * a), None)
