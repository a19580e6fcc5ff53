import pytest

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Plan
from planner.additions.network_input import (
    DROPOUT,
    MOST_NEIGHBOURS,
    REACH_MM,
    neighbours,
    sequence_dropout,
    with_inputs,
)
from planner.budget.candidate_chooser import AUGMENTATION_FACTOR
from planner.budget.short_schedule import STEPS_FOR_DROPOUT
from planner.budget.time_budget import INPUT_FIELDS
from planner.rules.reference_plan import PlannedDecisions, reference_plan
from tests.planner.fingerprints import fingerprint
from tests.planner.machine import FOLDS, HOUR, Machine, dataset, fit

STACKED = "configurations.2.5d."


def planned(measured: Fingerprint) -> PlannedDecisions:
    return with_inputs(reference_plan(measured), measured)


def lacking(measured: Fingerprint, cases: int) -> Fingerprint:
    """The same, with two sequences, of which the first cases lack the second."""
    changed = [case.changed(present=(True, i >= cases)) for i, case in enumerate(measured.cases)]
    return measured.changed(
        channels=("T1", "STIR"), modality=("other",) * 2, intensities=measured.intensities * 2, cases=tuple(changed)
    )


@pytest.mark.parametrize(
    ("spacing", "count"),
    [(9.0, 1), (6.0, 1), (4.4, 1), (3.3, 2), (2.5, 2), (2.0, 2), (1.8, 3), (1.0, 3), (0.4, 3)],
)
def test_neighbours_reach_five_millimetres_within_one_and_three(spacing: float, count: int) -> None:
    decided = neighbours(spacing)
    assert decided.value == count
    assert f"{spacing:.3g} mm" in decided.reason and str(count) in decided.reason
    if 1 < count < MOST_NEIGHBOURS:
        assert abs(count * spacing - REACH_MM) <= spacing / 2


@pytest.mark.parametrize("axis", [0, 2])
def test_2_5d_is_2d_with_neighbours_across_its_slices(axis: int) -> None:
    spacing, shape = [0.8, 0.8, 0.8], [300, 300, 300]
    spacing[axis], shape[axis] = 4.0, 20
    plan = planned(fingerprint([tuple(spacing)] * 6, [tuple(shape)] * 6)).plan
    assert list(plan.configurations)[:3] == ["2d", "2.5d", "3d"]
    flat, stacked = plan.configurations["2d"], plan.configurations["2.5d"]
    assert stacked.slice_axis == flat.slice_axis == axis
    assert stacked.neighbours == 1 and flat.neighbours == 0
    assert plan.preprocessed_as("2.5d") == "2d"
    assert stacked.changed(neighbours=0, preprocessed_as=None) == flat
    Plan.model_validate(plan.model_dump())


def test_the_reference_plan_itself_stays_nnunets() -> None:
    measured = fingerprint([(4.0, 0.8, 0.8)] * 6, [(20, 300, 300)] * 6)
    reference = reference_plan(measured)
    assert "2.5d" not in reference.plan.configurations
    others = planned(measured).plan.configurations
    assert {name: others[name] for name in reference.plan.configurations} == reference.plan.configurations


def test_single_slices_have_no_neighbours() -> None:
    assert list(planned(fingerprint([(999, 0.5, 0.5)] * 4, [(1, 300, 400)] * 4)).plan.configurations) == ["2d"]


def test_dropout_and_code_are_on_as_soon_as_one_case_lacks_a_sequence() -> None:
    measured = fingerprint([(4.0, 0.8, 0.8)] * 6, [(20, 300, 300)] * 6)
    assert sequence_dropout(lacking(measured, 0)).value == 0
    decided = sequence_dropout(lacking(measured, 2))
    assert decided.value == DROPOUT and decided.reason.startswith("2 of 6 cases")
    for cases, probability in ((0, 0.0), (1, DROPOUT)):
        found = planned(lacking(measured, cases))
        assert set(found.plan.configurations) >= {"2d", "2.5d", "3d"}
        for name, configuration in found.plan.configurations.items():
            assert configuration.training.sequence_dropout == probability
            assert configuration.availability_code is (cases > 0)
            assert ("1 of 6" in found.reasons[f"configurations.{name}.training.sequence_dropout"]) is (cases > 0)


def test_every_field_of_the_input_has_a_reason() -> None:
    reasons = planned(fingerprint([(4.0, 0.8, 0.8)] * 6, [(20, 300, 300)] * 6)).reasons
    for name in ("2d", "2.5d", "3d"):
        for field in (*INPUT_FIELDS, "training.sequence_dropout", "spacing", "patch_size"):
            assert len(reasons[f"configurations.{name}.{field}"].split()) > 1
    assert reasons[STACKED + "neighbours"] != reasons["configurations.2d.neighbours"]


def network_and_place(configuration: Configuration) -> tuple[object, ...]:
    c = configuration
    return c.spacing, c.median_shape, c.patch_size, c.batch_size, c.network, c.slice_axis


@pytest.mark.parametrize("hours", [0.5, 5])
@pytest.mark.parametrize("data", ["thick slices", "large"])
def test_in_a_time_budget_2_5d_follows_2d_and_its_steps_its_own_cost(data: str, hours: float) -> None:
    measured = dataset(data)
    machine = Machine(speed=3e10)

    def slower_with_neighbours(plan: Plan, configuration: Configuration):
        cost = machine(plan, configuration)
        return type(cost)(cost.seconds * (1 + configuration.neighbours), cost.peak_bytes)

    found = fit(
        measured,
        slower_with_neighbours,  # type: ignore[arg-type]
        hours * HOUR,
        configurations=("2d", "2.5d"),
        reference=planned(measured),
    )
    flat, stacked = found.plan.configurations["2d"], found.plan.configurations["2.5d"]
    assert network_and_place(flat) == network_and_place(stacked)
    assert flat.neighbours == 0 and stacked.neighbours >= 1 and stacked.preprocessed_as == "2d"
    Plan.model_validate(found.plan.model_dump())
    assert "2d" in found.reasons[STACKED + "spacing"] and "2d" in found.reasons[STACKED + "patch_size"]
    assert stacked.training.iterations < flat.training.iterations
    step = machine.cost(found.plan, stacked).seconds * (1 + stacked.neighbours)
    assert AUGMENTATION_FACTOR * FOLDS * stacked.training.iterations * step < hours * HOUR / 2


def test_a_cell_keeps_its_sequences_and_dropout_in_a_time_budget() -> None:
    measured = lacking(dataset("thick slices"), 3)
    reference = planned(measured)
    own = reference.plan.configurations["3d"]
    cell = own.changed(sequences=("STIR",), preprocessed_as="3d")
    # before the one that it follows
    configurations = {"STIR.3d": cell, **reference.plan.configurations}
    changed = reference.plan.changed(configurations=configurations)
    found = fit(measured, Machine(), HOUR, reference=PlannedDecisions(changed, reference.reasons)).plan
    assert list(found.configurations) == list(configurations)
    followed, follower = found.configurations["3d"], found.configurations["STIR.3d"]
    assert network_and_place(follower) == network_and_place(followed)
    assert follower.sequences == ("STIR",) and followed.sequences is None
    assert follower.availability_code
    planned_for = DROPOUT * min(1, follower.training.iterations / STEPS_FOR_DROPOUT)
    assert follower.training.sequence_dropout == pytest.approx(planned_for, abs=1e-3)


def test_without_a_budget_2_5d_is_fitted_to_memory_alone() -> None:
    measured = dataset("thick slices")
    reference = planned(measured)
    found = fit(measured, Machine(), None, device="cuda", configurations=("2.5d",), reference=reference).plan
    ours, theirs = found.configurations["2.5d"], reference.plan.configurations["2.5d"]
    assert network_and_place(ours) == network_and_place(theirs) and ours.neighbours == theirs.neighbours
    assert ours.training.iterations != theirs.training.iterations
