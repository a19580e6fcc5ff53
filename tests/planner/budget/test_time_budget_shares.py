"""How a budget is divided, and that folds use their time and no more.

The machine is one whose steps cost what the network's multiply-adds say.
"""

import math

import pytest

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Plan
from autoseg.plan.time_shares import divide_budget
from autoseg.whole_image.windows import window_starts
from planner.budget.candidate_chooser import AUGMENTATION_FACTOR
from tests.planner.machine import CASES, DATASETS, FOLDS, HOUR, Machine, dataset, fit


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


def test_on_more_devices_a_fold_is_planned_for_more_of_the_time() -> None:
    measured, machine = dataset("thick slices"), Machine()
    plans = {devices: fit(measured, machine, HOUR, devices=devices).plan for devices in (1, 2, 4)}
    for devices, turns in {1: 5, 2: 3, 4: 2}.items():
        plan = plans[devices]
        assert plan.devices == devices
        steps, validation = fold_seconds(measured, machine, plan, "3d")
        # the folds of the device that trains most of them fill the wall time
        assert 0.8 * HOUR <= turns * (AUGMENTATION_FACTOR * steps + validation) <= HOUR


def test_time_is_divided_without_rest() -> None:
    for budget, spent, cases, count, configurations in [
        (3600, 0, 20, 5, 1),
        (2400, 130, 40, 5, 2),
        (9000, 10, 7, 3, 3),
    ]:
        time = divide_budget(budget, spent, cases, count, configurations)
        assert count * configurations * time.fold_seconds + time.kept_back + spent == pytest.approx(budget)
        assert 0 < time.kept_back < 0.2 * budget


def test_a_spent_budget_still_gives_a_plan() -> None:
    assert divide_budget(600, 700, 20, 5, 1).fold_seconds > 0
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


def test_what_training_leaves_of_a_folds_time_is_planned_for_validation() -> None:
    measured, machine = dataset("thick slices"), Machine()
    plan = fit(measured, machine, HOUR).plan
    _, validation = fold_seconds(measured, machine, plan, "3d")
    assert plan.configurations["3d"].training.validation_seconds == pytest.approx(validation)
