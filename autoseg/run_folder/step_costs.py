"""`step_costs.json`: every look at a training step that the plan rests on, so that it can be replayed."""

from __future__ import annotations

import math
from typing import Any, Literal

from autoseg.errors import RunFolderError
from autoseg.files import FileModel, read_model, write_text
from autoseg.machine.step_cost import Measure, StepCost
from autoseg.plan.configuration import Configuration, Network
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder


class MeasuredStep(FileModel):
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


class Again(FileModel):
    """The looks of a second planning of a configuration.

    Args:
        factor: times as slow as measured that steps really were; the plan was made with steps so slow.
        steps: in the order in which they were measured; the first is of the network that was planned before.
    """

    configuration: str
    factor: float
    steps: tuple[MeasuredStep, ...]


class StepCosts(FileModel):
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


def _what(plan: Plan, configuration: Configuration) -> dict[str, object]:
    """What the cost of a step depends on."""
    from autoseg.plan.network_input import input_channels

    return {
        "patch_size": configuration.patch_size,
        "batch_size": configuration.batch_size,
        "inputs": len(input_channels(plan, configuration)),
        "network": configuration.network,
        "lesion_loss": configuration.training.lesion_loss,
    }
