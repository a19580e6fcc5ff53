"""What one training step costs, as the planner asks the trainer for it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autoseg.machine.other_programs import DISTURBING
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Plan

FORWARD_SHARE = 1 / 3
"""Of a step, what a forward pass in prediction takes in the same number type: backward costs twice as much."""


@dataclass(frozen=True)
class StepCost:
    """Cost of one forward and backward pass with its optimiser step.

    Args:
        seconds: wall time on a machine that does nothing else; infinite where it does not fit into memory.
        peak_bytes: memory that it takes; None where its time was estimated and nothing is known of memory.
        forward_share: of the time, what a forward pass in prediction takes.
        others: cores that other programs used meanwhile. From `DISTURBING` on, `seconds` does not come from the wall
            clock alone.
    """

    seconds: float
    peak_bytes: int | None
    forward_share: float = FORWARD_SHARE
    others: float = 0.0

    def fits(self, memory_gb: float) -> bool:
        """Whether it goes, within so much memory, as far as that is known."""
        return math.isfinite(self.seconds) and (self.peak_bytes or 0) <= memory_gb * 2**30

    @property
    def disturbed(self) -> bool:
        """Whether other programs computed while it was measured."""
        return self.others >= DISTURBING


Measure = Callable[[Plan, Configuration], StepCost]


def least_that_repeats(looks: Sequence[float], within: float) -> float | None:
    """The least of several looks that another one confirms; None where none does.

    A disturbance makes a step slower and never faster, so that the least is the machine's own, unless
    it is an accident of the clock.

    Args:
        looks: seconds of the same step, at different moments.
        within: factor between two looks that are the same.
    """
    ordered = sorted(looks)
    return next((a for a, b in itertools.pairwise(ordered) if b <= within * a), None)
