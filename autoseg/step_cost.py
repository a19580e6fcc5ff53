"""What the planner asks of the trainer: the cost of one training step, and the file in which it is kept."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from autoseg.errors import RunFolderError
from autoseg.model_files import read_model
from autoseg.other_programs import DISTURBING
from autoseg.plan import Configuration, Network, Plan, PlanModel
from autoseg.run_folder import RunFolder, write_text

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


class MeasuredStep(PlanModel):
    """A step that was measured while the plan was made, and what it depends on.

    Args:
        inputs: channels of the network's input.
        seconds: None where it did not fit into memory.
    """

    patch_size: tuple[int, int, int]
    batch_size: int
    inputs: int
    network: Network
    lesion_loss: float
    seconds: float | None
    peak_bytes: int | None
    forward_share: float
    others: float


class Again(PlanModel):
    """The looks of a second planning of a configuration.

    Args:
        factor: times as slow as measured that steps really were; the plan was made with steps so slow.
        steps: in the order in which they were measured; the first is of the network that was planned before.
    """

    configuration: str
    factor: float
    steps: tuple[MeasuredStep, ...]


class StepCosts(PlanModel):
    """`step_costs.json`: every look at a training step, in the order in which they were taken.

    Args:
        device: on which.
        cores: that the process may use.
        threads: that computed on a CPU.
        counted: they were counted from the network's work, not measured.
        again: of plannings after the first.
    """

    schema_version: Literal[1] = 1
    device: str
    cores: int
    threads: int
    counted: bool = False
    steps: tuple[MeasuredStep, ...]
    again: tuple[Again, ...] = ()


class Recorder:
    """A measure that remembers what it measured.

    Args:
        measure: costs of a training step.
    """

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self.steps: list[MeasuredStep] = []

    def __call__(self, plan: Plan, configuration: Configuration) -> StepCost:
        """The cost of a step, measured and remembered."""
        cost = self._measure(plan, configuration)
        self.steps.append(
            MeasuredStep(
                **dict[str, Any](_what(plan, configuration)),
                seconds=cost.seconds if math.isfinite(cost.seconds) else None,
                peak_bytes=cost.peak_bytes,
                forward_share=cost.forward_share,
                others=cost.others,
            )
        )
        return cost


class Replayed:
    """A measure that gives what was measured before, look by look, so that the same plan is made.

    Args:
        costs: of the planning that is repeated.
    """

    def __init__(self, costs: StepCosts) -> None:
        self._left = list(costs.steps)

    def __call__(self, plan: Plan, configuration: Configuration) -> StepCost:
        """The next look at this step.

        Raises:
            RunFolderError: none is left.
        """
        what = _what(plan, configuration)
        for place, step in enumerate(self._left):
            if all(getattr(step, name) == value for name, value in what.items()):
                del self._left[place]
                seconds = math.inf if step.seconds is None else step.seconds
                return StepCost(seconds, step.peak_bytes, step.forward_share, step.others)
        raise RunFolderError(f"step_costs.json: has no look at a step of patch {configuration.patch_size}")


def write_step_costs(run: RunFolder, costs: StepCosts) -> None:
    """Write `step_costs.json`, atomically."""
    write_text(run.step_costs, costs.model_dump_json(indent=1))


def read_step_costs(run: RunFolder) -> StepCosts | None:
    """What was measured for the plan; None where nothing was.

    Raises:
        RunFolderError: the file is malformed.
    """
    return read_model(run.step_costs, StepCosts, "delete it: it says only how the plan was made")


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


def _what(plan: Plan, configuration: Configuration) -> dict[str, object]:
    """What the cost of a step depends on."""
    from autoseg.network_input import input_channels

    return {
        "patch_size": configuration.patch_size,
        "batch_size": configuration.batch_size,
        "inputs": len(input_channels(plan, configuration)),
        "network": configuration.network,
        "lesion_loss": configuration.training.lesion_loss,
    }
