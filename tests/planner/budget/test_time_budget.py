"""What a budget buys, on a machine whose step costs what the network's multiply-adds say."""

import math
from dataclasses import replace

import pytest

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.errors import PlanError
from autoseg.machine.step_cost import StepCost
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Plan
from autoseg.plan.time_shares import divide_budget
from autoseg.whole_image.windows import window_starts
from planner.additions.network_input import with_inputs
from planner.budget.candidates import candidates
from planner.budget.chooser import AUGMENTATION_FACTOR, ENOUGH_STEPS, MOST_MEASUREMENTS
from planner.budget.cost import estimated_cost, multiply_adds
from planner.rules.reference_plan import reference_plan
from tests.planner.machine import CASES, DATASETS, FOLDS, HOUR, Machine, dataset, fit
from tests.planner.structures import with_structures


def windows(measured: Fingerprint, configuration: Configuration) -> int:
    """Windows in which one case of a data set of equal cases is predicted."""
    case = measured.cases[0]
    target = configuration.target_spacing(case.spacing)
    shape = [round(n * s / t) for n, s, t in zip(case.cropped_shape, case.spacing, target, strict=True)]
    patch, overlap = configuration.patch_size, configuration.prediction.overlap
    return math.prod(len(window_starts(n, p, overlap)) for n, p in zip(shape, patch, strict=True))


def fold_seconds(measured: Fingerprint, machine: Machine, plan: Plan, name: str) -> tuple[float, float]:
    """Seconds of a fold's training steps and of predicting its validation cases at the end."""
    configuration = plan.configurations[name]
    step = machine.cost(plan, configuration)
    validation_cases = CASES // FOLDS
    a_window = step.seconds * step.forward_share / configuration.batch_size
    a_case = windows(measured, configuration) * a_window
    return configuration.training.iterations * step.seconds, a_case * validation_cases


@pytest.mark.parametrize("name", ["2d", "3d"])
@pytest.mark.parametrize("data", DATASETS)
def test_longer_budgets_keep_more(data: str, name: str) -> None:
    measured = dataset(data)
    order = [c.value for c in candidates(reference_plan(measured).plan.configurations[name], measured)]
    kept = []
    for hours in (0.1, 0.2, 0.5, 1, 2, 5, 24, 240, 2400):
        plan = fit(measured, Machine(speed=3e10), hours * HOUR, configurations=(name,)).plan
        kept.append(plan.configurations[name])
    networks = [(c.network, c.patch_size, c.spacing) for c in order]
    places = [networks.index((c.network, c.patch_size, c.spacing)) for c in kept]
    assert places == sorted(places, reverse=True)
    assert places[0] > places[-1], "six minutes and a hundred days buy the same"
    assert [c.network.features[0] for c in kept] == sorted(c.network.features[0] for c in kept)
    for axis in range(3):
        spacings = [c.spacing[axis] or 0.0 for c in kept]
        assert spacings == sorted(spacings, reverse=True)


def test_faster_machines_keep_more() -> None:
    measured = dataset("thick slices")
    slow, fast = (fit(measured, Machine(speed=s), HOUR).plan.configurations["3d"] for s in (3e10, 3e12))
    assert slow.network.features[0] < fast.network.features[0]
    assert slow.median_shape[2] < fast.median_shape[2]


def test_the_richest_that_affords_enough_steps_is_taken() -> None:
    measured = dataset("thick slices")
    machine = Machine()
    reference = reference_plan(measured)
    fitted = fit(measured, machine, HOUR, reference=reference).plan
    taken = fitted.configurations["3d"]
    assert taken.training.iterations >= ENOUGH_STEPS
    share = divide_budget(HOUR, 0, CASES, FOLDS, 1).fold_seconds
    for richer in candidates(reference.plan.configurations["3d"], measured):
        if (richer.value.network, richer.value.patch_size) == (taken.network, taken.patch_size):
            break
        # with training alone and no validation it would have few steps more than enough at most
        affordable = share / (AUGMENTATION_FACTOR * machine.cost(fitted, richer.value).seconds)
        assert affordable < 1.35 * ENOUGH_STEPS
    else:
        pytest.fail("the configuration taken is no candidate")


@pytest.mark.parametrize("overhead", [0.0, 0.02])
@pytest.mark.parametrize("hours", [0.5, 2, 24])
@pytest.mark.parametrize("data", DATASETS)
def test_a_fold_uses_its_time_and_no_more(data: str, hours: float, overhead: float) -> None:
    measured, machine = dataset(data), Machine(overhead=overhead)
    plan = fit(measured, machine, hours * HOUR).plan
    share = divide_budget(hours * HOUR, 0, CASES, FOLDS, 1).fold_seconds
    steps, validation = fold_seconds(measured, machine, plan, "3d")
    # predicted at the end, and some of the cases on the way; rounding of windows and steps aside
    assert AUGMENTATION_FACTOR * steps + validation <= 1.001 * share
    assert AUGMENTATION_FACTOR * steps + 4 * validation >= 0.98 * share
    assert AUGMENTATION_FACTOR * steps + validation >= 0.8 * share
    assert plan.configurations["3d"].training.seconds == pytest.approx(share - validation, rel=0.01)


@pytest.mark.parametrize("hours", [0.5, 1, 24])
def test_folds_together_use_most_of_the_budget_and_no_more(hours: float) -> None:
    measured, machine = dataset("thick slices"), Machine()
    plan = fit(measured, machine, hours * HOUR).plan
    steps, validation = fold_seconds(measured, machine, plan, "3d")
    assert 0.8 * hours * HOUR <= FOLDS * (AUGMENTATION_FACTOR * steps + validation) <= hours * HOUR


def test_a_spent_budget_still_gives_a_plan() -> None:
    plan = fit(dataset("isotropic"), Machine(), 600, spent=700).plan
    assert plan.configurations["3d"].training.iterations >= 1


def test_configurations_share_the_budget() -> None:
    measured, machine = dataset("thick slices"), Machine()
    alone = fit(measured, machine, HOUR, configurations=("3d",)).plan
    both = fit(measured, machine, HOUR, configurations=("2d", "3d")).plan
    total = 0.0
    for name in ("2d", "3d"):
        steps, validation = fold_seconds(measured, machine, both, name)
        total += FOLDS * (AUGMENTATION_FACTOR * steps + validation)
    assert 0.8 * HOUR <= total <= HOUR
    seconds = [plan.configurations["3d"].training.seconds or math.nan for plan in (alone, both)]
    assert seconds[1] < 0.6 * seconds[0]


def test_time_already_spent_is_taken_off() -> None:
    measured, machine = dataset("isotropic"), Machine()
    late = fit(measured, machine, 2 * HOUR, spent=HOUR).plan
    steps, validation = fold_seconds(measured, machine, late, "3d")
    assert 0.8 * HOUR <= FOLDS * (AUGMENTATION_FACTOR * steps + validation) <= HOUR


def test_a_single_fold_has_all_the_time() -> None:
    measured = dataset("isotropic")
    one, five = (fit(measured, Machine(), HOUR, count=n).plan.configurations["3d"].training.seconds for n in (1, 5))
    assert one is not None
    assert five is not None
    assert one > 4 * five


def test_a_budget_too_short_for_any_candidate_takes_the_cheapest() -> None:
    measured = dataset("thick slices")
    machine = Machine(speed=1e9)
    reference = reference_plan(measured)
    plan = fit(measured, machine, HOUR, reference=reference).plan
    taken = plan.configurations["3d"]
    assert taken.training.iterations < ENOUGH_STEPS
    listed = candidates(reference.plan.configurations["3d"], measured)
    costs = [machine.cost(plan, c.value).seconds for c in listed]
    assert machine.cost(plan, taken).seconds == min(costs)


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


def test_steps_of_nearly_the_same_work_tell_no_line() -> None:
    # noise would: the larger one was the quicker
    close = [(1000, StepCost(0.11, 1)), (1010, StepCost(0.10, 1))]
    assert estimated_cost(10_000, close).seconds == pytest.approx(0.10 * 5, rel=0.02)
    apart = [(1000, StepCost(0.15, 1, 0.25)), (2000, StepCost(0.25, 2, 0.25))]
    estimated = estimated_cost(3000, apart)
    assert estimated.seconds == pytest.approx(0.35)
    assert (estimated.peak_bytes, estimated.forward_share) == (None, 0.25), "of memory nothing is known"


@pytest.mark.parametrize("name", ["2d", "3d"])
def test_quicker_prediction_leaves_more_time_to_training(name: str) -> None:
    """A fold's time is its steps, and its validation cases' windows at the share of a step that each takes."""
    measured, machine = dataset("thick slices"), Machine(forward_share=1 / 8)
    plan = fit(measured, machine, HOUR, configurations=(name,)).plan
    _, validation = fold_seconds(measured, machine, plan, name)
    _, at_a_third = fold_seconds(measured, Machine(), plan, name)
    assert validation == pytest.approx(3 / 8 * at_a_third)
    fold = divide_budget(HOUR, 0, CASES, FOLDS, 1).fold_seconds
    assert plan.configurations[name].training.seconds == pytest.approx(fold - validation)


def test_the_plan_says_why() -> None:
    fitted = fit(dataset("thick slices"), Machine(), HOUR)
    assert fitted.plan.time_budget_seconds == HOUR
    assert fitted.plan.device == "cpu"
    training = fitted.plan.configurations["3d"].training
    step = Machine().cost(fitted.plan, fitted.plan.configurations["3d"]).seconds
    assert f"{step:.3g} s" in fitted.reasons["configurations.3d.training.iterations"]
    assert f"{training.seconds:.0f} s" in fitted.reasons["configurations.3d.training.iterations"]
    changed = ["spacing", "patch_size", "batch_size", "network.features", "training.seconds", "training.optimizer"]
    reference = reference_plan(dataset("thick slices")).reasons
    for key in changed:
        assert fitted.reasons[f"configurations.3d.{key}"] != reference.get(f"configurations.3d.{key}")


def test_short_predictions_are_not_mirrored() -> None:
    assert fit(dataset("isotropic"), Machine(), HOUR).plan.configurations["3d"].prediction.mirror == ()


def test_with_a_budget_a_candidate_that_does_not_fit_is_passed_over() -> None:
    measured = dataset("isotropic")
    reference = reference_plan(measured)
    costs = [
        c.value.batch_size * multiply_adds(c.value.network, c.value.patch_size, 1, 2)
        for c in candidates(reference.plan.configurations["3d"], measured)
    ]
    most = sorted(costs)[len(costs) // 2]
    plan = fit(measured, Machine(most_work=most), 24 * HOUR, device="cuda", reference=reference).plan
    c = plan.configurations["3d"]
    assert c.batch_size * multiply_adds(c.network, c.patch_size, 1, 2) <= most


def test_a_budget_for_which_nothing_fits_is_refused() -> None:
    with pytest.raises(PlanError, match=r"configuration 3d: no patch fits into 8 GB .*--memory"):
        fit(dataset("isotropic"), Machine(most_work=1000), HOUR)


def test_overhead_of_a_step_does_not_hide_what_is_affordable() -> None:
    measured = dataset("large")
    machine = Machine(overhead=0.02)
    plan = fit(measured, machine, 2 / 3 * HOUR, configurations=("2d",)).plan
    assert plan.configurations["2d"].training.iterations < 4 * ENOUGH_STEPS


@pytest.mark.parametrize("budget", [None, HOUR])
def test_small_lesions_get_their_loss_before_steps_are_measured(budget: float | None) -> None:
    measured = with_structures(dataset("thick slices"), {"lesion": [900.0, 300.0, 90.0]})
    machine = Machine()
    fitted = fit(measured, machine, budget)
    assert fitted.plan.configurations["3d"].training.lesion_loss > 0
    assert "lesion" in fitted.reasons["configurations.3d.training.lesion_loss"]
    assert machine.measured and all(c.training.lesion_loss > 0 for c in machine.measured)
    plain = fit(dataset("thick slices"), Machine(), budget)
    assert plain.plan.configurations["3d"].training.lesion_loss == 0


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


def test_what_training_leaves_of_a_folds_time_is_planned_for_validation() -> None:
    measured, machine = dataset("thick slices"), Machine()
    plan = fit(measured, machine, HOUR).plan
    _, validation = fold_seconds(measured, machine, plan, "3d")
    assert plan.configurations["3d"].training.validation_seconds == pytest.approx(validation)
