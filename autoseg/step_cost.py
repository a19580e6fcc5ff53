"""What the planner asks of the trainer: the cost of one training step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepCost:
    """Cost of one forward and backward pass with its optimiser step.

    Args:
        seconds: wall time; infinite where it does not fit into memory.
        peak_bytes: memory that it takes.
    """

    seconds: float
    peak_bytes: int
