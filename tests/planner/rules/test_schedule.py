"""Rotation and mirroring by nnU-Net's rules."""

import pytest

from autoseg.plan.decision import Decision
from planner.rules.schedule import largest_rotation, reference_schedule


@pytest.mark.parametrize(
    ("patch_size", "coarse_axis", "slice_axis", "expected"),
    [
        ((128, 128, 128), 0, None, (30, 30, 30)),
        ((64, 192, 160), 0, None, (30, 30, 30)),
        ((63, 192, 160), 0, None, (180, 0, 0)),
        ((192, 160, 20), 2, None, (0, 0, 180)),
        ((1, 300, 200), 0, 0, (180, 0, 0)),
        ((1, 301, 200), 0, 0, (15, 0, 0)),
        ((512, 1, 448), 1, 1, (0, 180, 0)),
    ],
)
def test_rotation(patch_size: tuple, coarse_axis: int, slice_axis: int | None, expected: tuple) -> None:
    assert largest_rotation(patch_size, coarse_axis, slice_axis).value == expected


def test_mirroring_leaves_the_slice_axis_alone() -> None:
    schedule = reference_schedule((64, 1, 64), 1, 1, Decision(True, "slices"))
    assert schedule.training.value.mirror == schedule.prediction.value.mirror == (0, 2)
    assert schedule.training.value.batch_dice
