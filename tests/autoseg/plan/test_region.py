"""The region of an image: its box by hand, frames that are unlike those of training, values that cannot be meant."""

import pytest
from pydantic import ValidationError

from autoseg.image.geometry import overlap, slices_of
from autoseg.plan.region import Region
from tests.example_plan import example_region

FRAME = ((0, 10, 20), (40, 110, 120))


def region(**changes: object) -> Region:
    fields = {
        "frame": "body",
        "lower": (0.25, 0.1, -0.1),
        "upper": (0.75, 0.5, 1.1),
        "shortest_mm": (100.0, 100.0, 100.0),
        "longest_mm": (200.0, 120.0, 110.0),
    }
    return example_region(**(fields | changes))


def test_shares_are_of_the_frame_and_stay_in_the_image() -> None:
    box = region().box(FRAME, (40, 128, 128), (4.0, 1.0, 1.0))
    assert box == ((10, 20, 10), (30, 60, 128))


def test_the_margin_is_in_mm_along_every_axis() -> None:
    box = region(margin_mm=8.0).box(FRAME, (40, 128, 128), (4.0, 1.0, 2.0))
    assert box == ((8, 12, 6), (32, 68, 128))


def test_a_frame_outside_of_which_the_region_lies_leaves_one_voxel() -> None:
    beyond = region(lower=(1.5, 1.5, 1.5), upper=(2.0, 2.0, 2.0))
    assert beyond.box(((0, 0, 0), (8, 8, 8)), (8, 8, 8), (1.0, 1.0, 1.0)) == ((7, 7, 7), (8, 8, 8))


@pytest.mark.parametrize(
    ("length", "foreign"), [(100, False), (81, False), (79, True), (249, False), (251, True)], ids=str
)
def test_a_frame_is_foreign_by_a_quarter_more_or_less_than_in_training(length: int, foreign: bool) -> None:
    reason = region().why_foreign(((0, 0, 0), (length, 100, 100)), (1.0, 1.0, 1.0))
    assert (reason is not None) == foreign
    if reason:
        assert reason == f"the body is {length} mm long along z, in training 100 to 200 mm"


def test_boxes_overlap_in_what_both_have() -> None:
    assert overlap(((0, 0, 0), (4, 4, 4)), ((2, 1, 0), (9, 3, 2))) == ((2, 1, 0), (4, 3, 2))
    assert overlap(((0, 0, 0), (4, 4, 4)), ((4, 0, 0), (9, 9, 9))) is None
    assert slices_of(((2, 1, 0), (4, 3, 2))) == (slice(2, 4), slice(1, 3), slice(0, 2))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"lower": (0.5, 0.5, 0.5), "upper": (0.5, 0.9, 0.9)}, "lower must be less than upper"),
        ({"upper": (9.0, 1.0, 1.2)}, "less than or equal to 2"),
        ({"lower": (float("nan"), 0.0, 0.0)}, "finite|greater than or equal"),
        ({"shortest_mm": (300.0, 1.0, 1.0)}, "shortest_mm must not exceed"),
        ({"margin_mm": -1.0}, "greater than or equal to 0"),
    ],
    ids=["order", "far", "nan", "lengths", "margin"],
)
def test_what_cannot_be_meant_is_refused(change: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        region(**change)


def test_it_is_told_in_words() -> None:
    assert region(margin_mm=10.0).text == "z 25% to 75%, y 10% to 50%, x -10% to 110% of the body, and 10 mm around it"
