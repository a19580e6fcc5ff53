"""`step_costs.json`: every measurement of a training step that the plan rests on, so that planning can be replayed."""

from __future__ import annotations

import math
from typing import Any, Literal

from autoseg.disk.checksums import SealedModel
from autoseg.errors import RunFolderError
from autoseg.files import FileModel, read_model, write_text
from autoseg.machine.step_cost import Measure, StepCost
from autoseg.plan.configuration import Configuration, Network
from autoseg.plan.network_input import input_channels
from autoseg.plan.plan import Plan
from autoseg.run_folder.paths import RunFolder


class MeasuredStep(FileModel):
    """One measurement of a training step, and the settings that its cost depends on.

    Args:
        patch_size: voxels (z, y, x) of the patch.
        batch_size: number of patches in a batch.
        inputs: number of channels of the network's input.
        network: U-Net that was measured.
        lesion_loss: weight of the lesion-wise loss.
        seconds: seconds of the step; None where it did not fit into memory.
        peak_bytes: memory that the step takes at most; None where it is not known.
        forward_share: share of the step's time that a forward pass in prediction takes.
        others: number of cores that other programs used meanwhile.
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


class PlannedAgain(FileModel):
    """The measurements of the second planning of a configuration.

    Args:
        configuration: name of the configuration that was planned again.
        factor: real seconds of a training step divided by its measured seconds; planning multiplied every
            measurement by it.
        steps: measurements before that multiplication, in order; the first is of the network planned before.
    """

    configuration: str
    factor: float
    steps: tuple[MeasuredStep, ...]


class StepCosts(SealedModel, FileModel):
    """Content of `step_costs.json`: every measurement of a training step that planning asked for.

    Args:
        device: device on which the steps were measured.
        cores: number of cores that the process may use.
        threads: number of threads that computed on a CPU.
        counted: True where the costs were computed from the network's amount of work instead of measured.
        steps: measurements of the first planning, in the order in which they were made.
        again: measurements of later plannings.
    """

    schema_version: Literal[1] = 1
    device: str
    cores: int
    threads: int
    counted: bool = False
    steps: tuple[MeasuredStep, ...]
    again: tuple[PlannedAgain, ...] = ()


class CostRecorder:
    """A function that measures training steps and keeps every measurement in `steps`.

    Args:
        measure: function that measures the cost of a training step.
    """

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self.steps: list[MeasuredStep] = []

    def __call__(self, plan: Plan, configuration: Configuration) -> StepCost:
        """Measure the cost of a training step, keep it and return it."""
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


class ReplayedCosts:
    """A function that returns earlier measurements in their order instead of measuring, so that a plan is repeated.

    Args:
        costs: measurements of the planning that is repeated.
    """

    def __init__(self, costs: StepCosts) -> None:
        self._left = list(costs.steps)

    def __call__(self, plan: Plan, configuration: Configuration) -> StepCost:
        """Return the next earlier measurement of this training step.

        Raises:
            RunFolderError: no measurement of this step is left.
        """
        what = _what(plan, configuration)
        for place, step in enumerate(self._left):
            if all(getattr(step, name) == value for name, value in what.items()):
                del self._left[place]
                seconds = math.inf if step.seconds is None else step.seconds
                return StepCost(seconds, step.peak_bytes, step.forward_share, step.others)
        raise RunFolderError(f"step_costs.json: has no measurement of a step of patch {configuration.patch_size}")


def write_step_costs(run: RunFolder, costs: StepCosts) -> None:
    """Write `step_costs.json`, atomically."""
    write_text(run.step_costs, costs.sealed_json())


def read_step_costs(run: RunFolder) -> StepCosts | None:
    """Read `step_costs.json`; None where there is no such file.

    Raises:
        RunFolderError: the file is malformed.
    """
    return read_model(run.step_costs, StepCosts, "delete it: it says only how the plan was made")


def _what(plan: Plan, configuration: Configuration) -> dict[str, object]:
    """Settings that the cost of a step depends on, named as the fields of `MeasuredStep`."""
    return {
        "patch_size": configuration.patch_size,
        "batch_size": configuration.batch_size,
        "inputs": len(input_channels(plan, configuration)),
        "network": configuration.network,
        "lesion_loss": configuration.training.lesion_loss,
    }
