"""What the planner asks of the trainer: the cost of one training step."""

from __future__ import annotations

import math
from dataclasses import dataclass

FORWARD_SHARE = 1 / 3
"""Of a step, what a forward pass in prediction takes in the same number type: backward costs twice as much."""


@dataclass(frozen=True)
class StepCost:
    """Cost of one forward and backward pass with its optimiser step.

    Args:
        seconds: wall time; infinite where it does not fit into memory.
        peak_bytes: memory that it takes; None where its time was estimated and nothing is known of memory.
        forward_share: of the time, what a forward pass in prediction takes.
    """

    seconds: float
    peak_bytes: int | None
    forward_share: float = FORWARD_SHARE

    def fits(self, memory_gb: float) -> bool:
        """Whether it goes, within so much memory, as far as that is known."""
        return math.isfinite(self.seconds) and (self.peak_bytes or 0) <= memory_gb * 2**30
