"""What a budget buys, on a machine whose step costs what the network's multiply-adds say."""

import pytest

from autoseg.errors import PlanError
from autoseg.plan.time_shares import divide_budget
from planner.budget.candidate_chooser import AUGMENTATION_FACTOR, ENOUGH_STEPS, ENOUGH_STEPS_FOR_LESIONS
from planner.budget.cost import multiply_adds
from planner.budget.network_candidates import candidates
from planner.rules.reference_plan import reference_plan
from tests.planner.machine import CASES, DATASETS, FOLDS, HOUR, Machine, dataset, fit
from tests.planner.structures import with_structures


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


def test_lesions_are_given_twice_the_steps() -> None:
    measured = with_structures(dataset("thick slices"), {"lesion": [900.0, 300.0, 90.0]})
    lesions = fit(measured, Machine(), HOUR).plan
    assert lesions.lesions == ("lesion",)
    assert lesions.configurations["3d"].training.iterations >= ENOUGH_STEPS_FOR_LESIONS == 2 * ENOUGH_STEPS


def test_a_plan_for_a_device_that_is_not_here_is_the_reference_plan() -> None:
    measured = dataset("thick slices")
    reference = reference_plan(measured)
    plan = fit(measured, None, None, device="cuda", reference=reference)
    full, taken = (one.configurations["3d"] for one in (reference.plan, plan.plan))
    assert (taken.patch_size, taken.batch_size, taken.network) == (full.patch_size, full.batch_size, full.network)
    assert "not measured" in plan.reasons["device"]


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
