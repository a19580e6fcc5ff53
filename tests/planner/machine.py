"""A machine to plan for, without measuring: its step costs what the network's multiply-adds say."""

import math
from dataclasses import dataclass, field

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.machine.step_cost import StepCost
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Plan
from autoseg.run_folder.splits import Split
from planner.budget.cost import multiply_adds
from planner.budget.time_budget import fit_to_budget
from planner.rules.reference_plan import PlannedDecisions, reference_plan
from tests.planner.fingerprints import fingerprint
from tests.planner.structures import with_structures

CASES, FOLDS = 20, 5
HOUR = 3600.0
DATASETS = {
    "isotropic": ((1.0, 1.0, 1.0), (36, 50, 35), 25.0),
    "thick slices": ((5.0, 1.2, 1.2), (40, 256, 256), 60.0),
    "large": ((1.0, 0.77, 0.77), (430, 512, 512), 150.0),
}


@dataclass
class Machine:
    """A stand-in for measuring: cost proportional to multiply-adds, all calls remembered.

    Args:
        speed: multiply-adds a second of a training step, three times as dear as a forward pass.
        overhead: seconds a step, whatever the network.
        forward_share: of a step, what a forward pass takes in prediction.
        sample_bytes: memory for each patch of a batch.
        most_work: multiply-adds of the largest step that fits into memory.
    """

    speed: float = 3e11
    overhead: float = 0.0
    forward_share: float = 1 / 3
    sample_bytes: int = 0
    most_work: float = math.inf
    measured: list[Configuration] = field(default_factory=list)

    def __call__(self, plan: Plan, configuration: Configuration) -> StepCost:
        self.measured.append(configuration)
        return self.cost(plan, configuration)

    def cost(self, plan: Plan, configuration: Configuration) -> StepCost:
        """Cost of a step, without remembering."""
        c = configuration
        forward = c.batch_size * multiply_adds(c.network, c.patch_size, len(plan.channels), plan.labels.classes)
        seconds = self.overhead + 3 * forward / self.speed if forward <= self.most_work else math.inf
        return StepCost(seconds, self.sample_bytes * c.batch_size, self.forward_share)


def dataset(name: str) -> Fingerprint:
    """Equal cases, each with a ball in the middle."""
    spacing, shape, diameter = DATASETS[name]
    measured = fingerprint([spacing] * CASES, [shape] * CASES)
    return with_structures(measured, {"organ": [math.pi / 6 * diameter**3]})


def folds(measured: Fingerprint, count: int = FOLDS) -> tuple[Split, ...]:
    """Folds of equal size."""
    names = tuple(case.case for case in measured.cases)
    return tuple(
        Split(train=tuple(n for i, n in enumerate(names) if i % count != fold), val=names[fold::count])
        for fold in range(count)
    )


def fit(
    measured: Fingerprint,
    machine: Machine | None,
    budget: float | None,
    *,
    configurations: tuple[str, ...] = ("3d",),
    spent: float = 0.0,
    count: int = FOLDS,
    device: str = "cpu",
    devices: int = 1,
    reference: PlannedDecisions | None = None,
) -> PlannedDecisions:
    """The plan for a machine and a budget."""
    return fit_to_budget(
        reference or reference_plan(measured),
        measured,
        folds(measured, count),
        configurations=configurations,
        budget_seconds=budget,
        spent_seconds=spent,
        device=device,
        devices=devices,
        measure=machine,
    )
