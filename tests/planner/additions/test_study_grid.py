"""The grid: cells of a dimension differ in what they see and in nothing else, and share the time."""

import pytest

from autoseg.errors import PlanError
from autoseg.plan.plan import Plan, read_plan, read_reasons, write_plan
from autoseg.plan.study_cells import Grid
from planner.additions.network_input import with_inputs
from planner.additions.study_grid import dimensions_of, shared_cases, with_cells
from planner.budget.time_budget import fit_to_budget
from planner.rules.reference_plan import PlannedDecisions, reference_plan
from tests.planner.fingerprints import fingerprint
from tests.planner.machine import Machine, folds
from tests.planner.structures import with_structures

SEQUENCES = ("channel 0", "channel 1", "channel 2")
BUDGET = 7200.0


def measured(*, without_last: int = 0):
    """Twelve cases of three sequences; some have no last one."""
    found = fingerprint([(4.0, 0.8, 0.8)] * 12, [(16, 160, 160)] * 12, modalities=("other",) * 3)
    found = with_structures(found, {"lesion": [900.0, 300.0]})
    cases = tuple(case.changed(present=(True, True, i >= without_last)) for i, case in enumerate(found.cases))
    return found.changed(cases=cases)


def planned(found, cells, *, budget: float | None = BUDGET, machine: Machine | None = None) -> PlannedDecisions:
    return with_cells(
        fit_to_budget(
            dimensions_of(with_inputs(reference_plan(found), found), cells),
            found,
            folds(found),
            configurations=tuple(cell.dimension for cell in cells),
            budget_seconds=budget,
            spent_seconds=0.0,
            device="cpu",
            measure=machine or Machine(),
        ),
        cells,
        found,
    )


CELLS = Grid(("channel 0", "channel 1+channel 2", "all"), ("2d", "2.5d", "3d")).cells(SEQUENCES)


@pytest.mark.parametrize("budget", [BUDGET, None])
def test_cells_of_a_dimension_differ_in_their_sequences_alone(budget):
    configurations = planned(measured(), CELLS, budget=budget).plan.configurations
    assert {cell.name for cell in CELLS} <= set(configurations)
    for cell in CELLS:
        of_cell, of_dimension = configurations[cell.name], configurations[cell.dimension]
        assert of_cell.sequences == cell.sequences and of_dimension.sequences is None
        own = {"sequences": None, "preprocessed_as": None}
        assert of_cell.changed(**own) == of_dimension.changed(**own)


def test_the_budget_is_for_the_whole_study():
    plan = planned(measured(), CELLS).plan
    seconds = 5 * sum(plan.configurations[cell.name].training.seconds for cell in CELLS)
    # the rest is for validation, preprocessing and the report
    assert 0.5 * BUDGET < seconds < BUDGET
    alone = planned(measured(), CELLS[:1]).plan.configurations[CELLS[0].name].training.seconds
    assert alone > 6 * plan.configurations[CELLS[0].name].training.seconds


def test_the_step_is_measured_with_the_most_sequences():
    machine = Machine()
    planned(measured(), CELLS, machine=machine)
    assert machine.measured and {c.sequences for c in machine.measured} == {SEQUENCES}


def test_cells_share_the_preprocessed_cases_of_their_spacing():
    configurations = planned(measured(), CELLS).plan.configurations
    assert {configurations[cell.name].preprocessed_as for cell in CELLS} == {"2d", "3d"}
    assert configurations["all.2.5d"].preprocessed_as == "2d" and configurations["all.2.5d"].neighbours > 0
    flat, deep = configurations["2d"], configurations["3d"]
    coarser = flat.changed(spacing=(None, 1.1, 1.1))
    several = {"2d": flat, "2.5d": flat, "3d": deep, "other": coarser}
    assert shared_cases(several) == {"2d": "2d", "2.5d": "2d", "3d": "3d", "other": "other"}


def test_dropout_and_code_stay_only_where_a_case_of_the_cell_lacks_a_sequence():
    found = measured(without_last=3)
    decided = with_cells(dimensions_of(with_inputs(reference_plan(found), found), CELLS), CELLS, found)
    kept = {cell.name: decided.plan.configurations[cell.name] for cell in CELLS if cell.dimension == "2d"}
    assert [c.availability_code for c in kept.values()] == [False, True, True]
    assert [c.training.sequence_dropout for c in kept.values()] == [0, 0.5, 0.5]
    assert "12 of the 12 cases" in decided.reasons["configurations.channel_0.2d.training.sequence_dropout"]
    assert "12 of 12 cases" in decided.reasons["configurations.channel_1+channel_2.2d.sequences"]


def test_every_cell_has_the_reasons_of_its_dimension():
    reasons = planned(measured(), CELLS).reasons
    of_dimension = {k.removeprefix("configurations.2d.") for k in reasons if k.startswith("configurations.2d.")}
    prefix = "configurations.all.2d."
    assert of_dimension <= {k.removeprefix(prefix) for k in reasons if k.startswith(prefix)}


def test_a_sequence_that_no_case_has_is_refused():
    with pytest.raises(PlanError, match=r"channel_2\.2d: no case has channel 2"):
        planned(measured(without_last=12), Grid(("channel 2",), ("2d",)).cells(SEQUENCES))


def test_a_dimension_that_is_not_planned_is_refused():
    with pytest.raises(PlanError, match="3d_lowres"):
        dimensions_of(reference_plan(measured()), Grid(("all",), ("3d_lowres",)).cells(SEQUENCES))


def test_neighbouring_slices_without_the_single_ones_have_cases_of_their_own():
    cells = Grid(("all",), ("2.5d",)).cells(SEQUENCES)
    plan = planned(measured(), cells).plan
    assert set(plan.configurations) == {"2.5d", "all.2.5d"}
    assert plan.preprocessed_as("all.2.5d") == "2.5d"
    assert Plan.model_validate(plan.model_dump()) == plan


def test_the_plan_can_be_written_and_read(tmp_path):
    decided = planned(measured(without_last=3), CELLS)
    write_plan(tmp_path / "plan.yaml", decided.plan, decided.reasons)
    assert read_plan(tmp_path / "plan.yaml") == decided.plan
    reasons = read_reasons(tmp_path / "plan.yaml")
    assert reasons["configurations.all.2.5d.preprocessed_as"].startswith("configurations of one spacing")
