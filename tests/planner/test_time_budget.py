"""What a budget buys, on a machine whose step costs what the network's multiply-adds say."""

import math
from dataclasses import dataclass, field

import pytest

from autoseg.fingerprint import Fingerprint
from autoseg.plan import Configuration, Plan
from autoseg.splits import Split
from autoseg.step_cost import StepCost
from autoseg.whole_image.windows import window_starts
from planner.candidates import candidates
from planner.chooser import AUGMENTATION, ENOUGH_STEPS
from planner.cost import multiply_adds
from planner.reference import PlannedDecisions, reference_plan
from planner.time_budget import divide_time, fit_to_hardware
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
        sample_bytes: memory for each patch of a batch.
        most_work: multiply-adds of the largest step that fits into memory.
    """

    speed: float = 3e11
    overhead: float = 0.0
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
        return StepCost(seconds, self.sample_bytes * c.batch_size)


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
    machine: Machine,
    budget: float | None,
    *,
    configurations: tuple[str, ...] = ("3d",),
    spent: float = 0.0,
    count: int = FOLDS,
    device: str = "cpu",
    reference: PlannedDecisions | None = None,
) -> PlannedDecisions:
    """The plan for a machine and a budget."""
    return fit_to_hardware(
        reference or reference_plan(measured),
        measured,
        folds(measured, count),
        configurations=configurations,
        budget_seconds=budget,
        spent_seconds=spent,
        device=device,
        measure=machine,
    )


def windows(measured: Fingerprint, configuration: Configuration) -> int:
    """Windows in which one case of a data set of equal cases is predicted."""
    case = measured.cases[0]
    target = configuration.target_spacing(case.spacing)
    shape = [round(n * s / t) for n, s, t in zip(case.cropped_shape, case.spacing, target, strict=True)]
    patch, overlap = configuration.patch_size, configuration.prediction.overlap
    return math.prod(len(window_starts(n, p, overlap)) for n, p in zip(shape, patch, strict=True))


def fold_seconds(measured: Fingerprint, machine: Machine, plan: Plan, name: str) -> tuple[float, float]:
    """Seconds of a fold's training steps and of predicting its validation cases at the end.

    A window's forward pass is a third of a step's share of a patch: backward costs twice as much.
    """
    configuration = plan.configurations[name]
    step = machine.cost(plan, configuration).seconds
    validation_cases = CASES // FOLDS
    a_case = windows(measured, configuration) * step / 3 / configuration.batch_size
    return configuration.training.iterations * step, a_case * validation_cases


@pytest.mark.parametrize("name", ["2d", "3d"])
@pytest.mark.parametrize("data", DATASETS)
def test_longer_budgets_keep_more(data: str, name: str) -> None:
    measured = dataset(data)
    order = [c.configuration for c in candidates(reference_plan(measured).plan.configurations[name], measured)]
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
    share = divide_time(HOUR, 0, CASES, FOLDS, 1).fold_seconds
    for richer in candidates(reference.plan.configurations["3d"], measured):
        if (richer.configuration.network, richer.configuration.patch_size) == (taken.network, taken.patch_size):
            break
        # with training alone and no validation it would have few steps more than enough at most
        affordable = share / (AUGMENTATION * machine.cost(fitted, richer.configuration).seconds)
        assert affordable < 1.35 * ENOUGH_STEPS
    else:
        pytest.fail("the configuration taken is no candidate")


@pytest.mark.parametrize("overhead", [0.0, 0.02])
@pytest.mark.parametrize("hours", [0.5, 2, 24])
@pytest.mark.parametrize("data", DATASETS)
def test_a_fold_uses_its_time_and_no_more(data: str, hours: float, overhead: float) -> None:
    measured, machine = dataset(data), Machine(overhead=overhead)
    plan = fit(measured, machine, hours * HOUR).plan
    share = divide_time(hours * HOUR, 0, CASES, FOLDS, 1).fold_seconds
    steps, validation = fold_seconds(measured, machine, plan, "3d")
    # predicted at the end, and some of the cases on the way; rounding of windows and steps aside
    assert AUGMENTATION * steps + validation <= 1.001 * share
    assert AUGMENTATION * steps + 4 * validation >= 0.98 * share
    assert AUGMENTATION * steps + validation >= 0.8 * share
    assert plan.configurations["3d"].training.seconds == pytest.approx(share - validation, rel=0.01)


@pytest.mark.parametrize("hours", [0.5, 1, 24])
def test_folds_together_use_most_of_the_budget_and_no_more(hours: float) -> None:
    measured, machine = dataset("thick slices"), Machine()
    plan = fit(measured, machine, hours * HOUR).plan
    steps, validation = fold_seconds(measured, machine, plan, "3d")
    assert 0.8 * hours * HOUR <= FOLDS * (AUGMENTATION * steps + validation) <= hours * HOUR


def test_time_is_divided_without_rest() -> None:
    for budget, spent, cases, count, configurations in [
        (3600, 0, 20, 5, 1),
        (2400, 130, 40, 5, 2),
        (9000, 10, 7, 3, 3),
    ]:
        time = divide_time(budget, spent, cases, count, configurations)
        assert count * configurations * time.fold_seconds + time.kept_back + spent == pytest.approx(budget)
        assert 0 < time.kept_back < 0.2 * budget


def test_a_spent_budget_still_gives_a_plan() -> None:
    assert divide_time(600, 700, 20, 5, 1).fold_seconds > 0
    plan = fit(dataset("isotropic"), Machine(), 600, spent=700).plan
    assert plan.configurations["3d"].training.iterations >= 1


def test_configurations_share_the_budget() -> None:
    measured, machine = dataset("thick slices"), Machine()
    alone = fit(measured, machine, HOUR, configurations=("3d",)).plan
    both = fit(measured, machine, HOUR, configurations=("2d", "3d")).plan
    total = 0.0
    for name in ("2d", "3d"):
        steps, validation = fold_seconds(measured, machine, both, name)
        total += FOLDS * (AUGMENTATION * steps + validation)
    assert 0.8 * HOUR <= total <= HOUR
    seconds = [plan.configurations["3d"].training.seconds or math.nan for plan in (alone, both)]
    assert seconds[1] < 0.6 * seconds[0]


def test_time_already_spent_is_taken_off() -> None:
    measured, machine = dataset("isotropic"), Machine()
    late = fit(measured, machine, 2 * HOUR, spent=HOUR).plan
    steps, validation = fold_seconds(measured, machine, late, "3d")
    assert 0.8 * HOUR <= FOLDS * (AUGMENTATION * steps + validation) <= HOUR


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
    costs = [machine.cost(plan, c.configuration).seconds for c in listed]
    assert machine.cost(plan, taken).seconds == min(costs)


@pytest.mark.parametrize("overhead", [0.0, 0.02])
@pytest.mark.parametrize("data", DATASETS)
def test_few_steps_are_measured(data: str, overhead: float) -> None:
    measured = dataset(data)
    for hours in (0.2, 0.7, 3, 24):
        machine = Machine(overhead=overhead)
        planned = fit(measured, machine, hours * HOUR).plan
        # one calibration for each configuration, and the few that come close to what is affordable
        assert len(machine.measured) <= len(planned.configurations) + 8


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


def without_length(configuration: Configuration) -> Configuration:
    """The configuration with a batch size and a number of iterations that are always the same."""
    training = configuration.training.model_copy(update={"iterations": 1})
    return configuration.model_copy(update={"batch_size": 1, "training": training})


def test_without_a_budget_the_reference_stands() -> None:
    measured = dataset("isotropic")
    reference = reference_plan(measured)
    machine = Machine(sample_bytes=1)
    plan = fit(measured, machine, None, device="cuda", reference=reference).plan
    ours, theirs = plan.configurations["3d"], reference.plan.configurations["3d"]
    assert without_length(ours) == without_length(theirs)
    assert ours.batch_size == theirs.batch_size
    assert plan.device == "cuda"
    assert plan.time_budget_seconds is None
    assert plan.configurations["2d"] == reference.plan.configurations["2d"]
    assert len(machine.measured) == 1
    assert machine.measured[0].batch_size == theirs.batch_size


def with_batch(measured: Fingerprint, batch: int) -> PlannedDecisions:
    """The reference plan with another batch size."""
    reference = reference_plan(measured)
    configuration = reference.plan.configurations["3d"].model_copy(update={"batch_size": batch})
    configurations = reference.plan.configurations | {"3d": configuration}
    return PlannedDecisions(
        reference.plan.model_copy(update={"configurations": configurations}), dict(reference.reasons)
    )


@pytest.mark.parametrize(("gigabytes", "fits"), [(0.5, 12), (1.0, 8), (1.5, 5), (3.0, 2), (5.0, 1)])
def test_only_the_batch_is_lowered_where_memory_is_short(gigabytes: float, fits: int) -> None:
    measured = dataset("isotropic")
    reference = with_batch(measured, 12)
    assert reference.plan.memory_gb == 8
    machine = Machine(sample_bytes=round(gigabytes * 2**30))
    fitted = fit(measured, machine, None, device="cuda", reference=reference)
    ours, theirs = fitted.plan.configurations["3d"], reference.plan.configurations["3d"]
    assert ours.batch_size == fits
    assert without_length(ours) == without_length(theirs)
    said = fitted.reasons["configurations.3d.batch_size"]
    assert ("measured" in said) == (fits < 12)


def test_a_step_that_does_not_fit_at_all_lowers_the_batch() -> None:
    measured = dataset("isotropic")
    reference = with_batch(measured, 4)
    configuration = reference.plan.configurations["3d"]
    one = multiply_adds(configuration.network, configuration.patch_size, 1, 2)
    fitted = fit(measured, Machine(most_work=2.5 * one), None, device="cuda", reference=reference)
    assert fitted.plan.configurations["3d"].batch_size == 2


def test_larger_data_sets_are_trained_longer_within_bounds() -> None:
    small, large = (
        fit(dataset(data), Machine(), None, device="cuda").plan.configurations["3d"].training
        for data in ("isotropic", "large")
    )
    assert small.iterations < large.iterations
    for training in (small, large):
        assert training.iterations % training.iterations_per_epoch == 0
        # nnU-Net's 1000 epochs of 250 steps are the most
        assert training.iterations <= 250_000


def test_with_a_budget_a_candidate_that_does_not_fit_is_passed_over() -> None:
    measured = dataset("isotropic")
    reference = reference_plan(measured)
    costs = [
        c.configuration.batch_size * multiply_adds(c.configuration.network, c.configuration.patch_size, 1, 2)
        for c in candidates(reference.plan.configurations["3d"], measured)
    ]
    most = sorted(costs)[len(costs) // 2]
    plan = fit(measured, Machine(most_work=most), 24 * HOUR, device="cuda", reference=reference).plan
    c = plan.configurations["3d"]
    assert c.batch_size * multiply_adds(c.network, c.patch_size, 1, 2) <= most


def test_large_batches_are_lowered_in_few_measurements() -> None:
    measured = dataset("isotropic")
    machine = Machine(sample_bytes=2**28)
    fitted = fit(measured, machine, None, device="cuda", reference=with_batch(measured, 366)).plan
    assert fitted.configurations["3d"].batch_size == 32
    assert len(machine.measured) <= 12


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
