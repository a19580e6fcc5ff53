"""What a person is told of a bound of the risk."""

import numpy as np

from inference.selection.fit_post_processing import Aim, OutcomeTable
from inference.selection.post_processing_outcomes import GRID, THRESHOLDS
from inference.selection.reach import reach_notes


def table(cases: int, missed: int, lesions: int = 10) -> OutcomeTable:
    """So many of ten lesions are missed above the lowest three thresholds, and none at these."""
    shape = (cases, *GRID)
    found = np.full(shape, lesions - missed)
    found[:, :3] = lesions
    return OutcomeTable(np.full(shape, 0.7), found, found, np.zeros(shape, int), np.full(cases, lesions))


def test_the_note_says_what_cross_validation_had_to_show() -> None:
    (note,) = reach_notes(["lesion"], [table(40, missed=2)], [Aim("risk", most=0.1)])
    assert note.startswith("lesion: of one more case like these, 10% of the lesions are missed on average or fewer")
    assert "With 40 cases" in note and "had to be 7.8% or less" in note and "is 0.0%" in note


def test_too_few_cases_cannot_bound_so_small_a_share() -> None:
    (note,) = reach_notes(["lesion"], [table(8, missed=0)], [Aim("risk", most=0.1)])
    assert "out of reach" in note and "8 cases cannot show less than 11.1%" in note and f"{THRESHOLDS[0]:g}" in note


def test_a_weak_model_is_told_as_such_and_other_aims_are_not_told() -> None:
    weak = table(40, missed=2)
    weak.found[:] = 5
    (note,) = reach_notes(["organ", "lesion"], [weak, weak], [Aim("dice"), Aim("risk", most=0.1)])
    assert note.startswith("lesion: ") and "the model misses too many" in note


def test_bounds_of_several_classes_are_told_to_hold_alone() -> None:
    aim = Aim("risk", most=0.1)
    notes = list(reach_notes(["lytic", "sclerotic"], [table(40, missed=2)] * 2, [aim, aim]))
    assert len(notes) == 3 and "for its class alone" in notes[-1]


def test_without_lesions_nothing_is_bounded() -> None:
    (note,) = reach_notes(["lesion"], [table(12, missed=0, lesions=0)], [Aim("risk", most=0.1)])
    assert "no case has lesions" in note


def test_a_sensitivity_or_a_number_of_false_ones_that_is_out_of_reach_is_told() -> None:
    made = table(12, missed=2)
    made.found[:] = 6
    made.false[:] = 3
    sensitive, few = Aim("sensitivity", least=0.9), Aim("false", most=1.0)
    (note,) = reach_notes(["lesion"], [made], [sensitive])
    assert note == "lesion: 90% of the lesions is out of reach; the most that is found is 60%"
    (note,) = reach_notes(["lesion"], [made], [few])
    assert note == "lesion: 1 false ones a case are out of reach; the fewest are 3.00"
    assert list(reach_notes(["lesion"], [made], [Aim("sensitivity", least=0.6)])) == []
    assert list(reach_notes(["lesion"], [made], [Aim("false", most=3.0)])) == []
