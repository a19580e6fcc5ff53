"""Which steps are measured for a budget, how the others are estimated, and what a busy machine changes."""

from dataclasses import replace

import pytest

from autoseg.machine.step_cost import StepCost
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Plan
from planner.additions.network_input import with_inputs
from planner.budget.candidate_chooser import MOST_MEASUREMENTS
from planner.rules.reference_plan import reference_plan
from tests.planner.machine import DATASETS, HOUR, Machine, dataset, fit


@pytest.mark.parametrize("overhead", [0.0, 0.02])
@pytest.mark.parametrize("data", DATASETS)
def test_few_steps_are_measured(data: str, overhead: float) -> None:
    measured = dataset(data)
    for hours in (0.2, 0.7, 3, 24):
        machine = Machine(overhead=overhead)
        planned = fit(measured, machine, hours * HOUR).plan
        assert len(machine.measured) <= MOST_MEASUREMENTS
        assert {c.slice_axis for c in machine.measured} == {planned.configurations["3d"].slice_axis}


@pytest.mark.parametrize("overhead", [0.0, 0.02])
def test_what_is_not_trained_is_planned_by_the_steps_of_what_is(overhead: float) -> None:
    measured, machine = dataset("thick slices"), Machine(overhead=overhead)
    planned = fit(measured, machine, HOUR, configurations=("3d",))
    assert all(c.slice_axis is None for c in machine.measured)
    # such a machine's steps cost what their work says, so that measuring would have said the same
    apart = fit(measured, Machine(overhead=overhead), HOUR, configurations=("2d",)).plan.configurations["2d"]
    flat = planned.plan.configurations["2d"]
    assert (flat.network, flat.patch_size) == (apart.network, apart.patch_size)
    assert flat.training.iterations == pytest.approx(apart.training.iterations, rel=0.01)
    assert "estimated" in planned.reasons["configurations.2d.training.iterations"]
    assert "estimated" not in planned.reasons["configurations.3d.training.iterations"]


def test_what_a_trained_configuration_follows_is_measured_before_it() -> None:
    measured, machine = dataset("thick slices"), Machine()
    reference = with_inputs(reference_plan(measured), measured)
    plan = fit(measured, machine, HOUR, configurations=("2.5d",), reference=reference).plan
    apart, stacked = plan.configurations["2d"], plan.configurations["2.5d"]
    assert (apart.network, apart.patch_size) == (stacked.network, stacked.patch_size)
    taken = [c for c in machine.measured if (c.network, c.patch_size) == (apart.network, apart.patch_size)]
    assert {c.neighbours for c in taken} == {0, stacked.neighbours}


class Busy(Machine):
    """A machine that is busy at its first looks: they take longer, and may be known as disturbed."""

    def __init__(self, looks: int, slower: float, others: float = 0.0) -> None:
        super().__init__()
        self.busy, self.slower, self.others = looks, slower, others

    def __call__(self, plan: Plan, configuration: Configuration) -> StepCost:
        cost = super().__call__(plan, configuration)
        if len(self.measured) <= self.busy:
            return replace(cost, seconds=cost.seconds * self.slower, others=self.others)
        return cost


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_a_busy_moment_does_not_decide_the_plan(looks: int) -> None:
    measured = dataset("thick slices")
    quiet, busy = (fit(measured, machine, HOUR).plan.configurations["3d"] for machine in (Machine(), Busy(looks, 5.0)))
    assert (busy.network, busy.patch_size, busy.spacing) == (quiet.network, quiet.patch_size, quiet.spacing)
    assert busy.training.iterations == pytest.approx(quiet.training.iterations, rel=0.01)


def test_a_machine_that_is_busy_all_the_while_is_planned_for_and_told() -> None:
    measured = dataset("thick slices")
    decided = fit(measured, Busy(1000, 1.0, others=1.0), HOUR)
    assert "while other programs used 1.0 cores" in decided.reasons["configurations.3d.training.iterations"]
    assert "other programs" not in fit(measured, Machine(), HOUR).reasons["configurations.3d.training.iterations"]


def test_a_quiet_look_goes_before_those_that_were_disturbed() -> None:
    measured = dataset("thick slices")
    decided = fit(measured, Busy(2, 0.5, others=1.0), HOUR)
    assert "other programs" not in decided.reasons["configurations.3d.training.iterations"]
