"""Target spacing, axis order and median shape against nnU-Net's published rule, worked by hand."""

import numpy as np
import pytest

from planner.rules.spacing import axis_order, coarser_spacing, median_shape, target_spacing
from tests.planner.fingerprints import fingerprint


def test_isotropic_data_get_the_median() -> None:
    measured = fingerprint([(1, 1, 1), (2, 2, 2), (1.5, 1.5, 1.5)], [(64, 64, 64)] * 3)
    assert target_spacing(measured).value == (1.5, 1.5, 1.5)


def test_a_coarse_and_short_axis_gets_its_tenth_percentile() -> None:
    thickness = np.arange(5.0, 10.5, 0.5)
    measured = fingerprint([(float(t), 1, 1) for t in thickness], [(12, 200, 200)] * 11)
    decision = target_spacing(measured)
    # the tenth percentile of eleven values is the second smallest
    assert decision.value == (5.5, 1, 1)
    assert "z is coarse" in decision.reason
    assert "7.5 mm" in decision.reason


def test_a_coarse_axis_as_long_as_the_others_keeps_the_median() -> None:
    measured = fingerprint([(5, 1, 1), (7, 1, 1), (9, 1, 1)], [(100, 200, 200)] * 3)
    assert target_spacing(measured).value == (7, 1, 1)


def test_exactly_three_times_as_coarse_is_not_coarse() -> None:
    measured = fingerprint([(1, 1, 1), (3, 1, 1), (5, 1, 1)], [(10, 200, 200)] * 3)
    assert target_spacing(measured).value == (3, 1, 1)


def test_the_coarse_axis_does_not_become_finer_than_the_others() -> None:
    measured = fingerprint([(0.5, 1, 1)] * 4 + [(8, 1, 1)] * 6, [(12, 200, 200)] * 10)
    assert target_spacing(measured).value == pytest.approx((1.00001, 1, 1), abs=1e-12)


@pytest.mark.parametrize(
    ("spacing", "order"),
    [
        ((3, 1, 1), (0, 1, 2)),
        ((1, 3, 1), (1, 0, 2)),
        ((1, 1, 3), (2, 0, 1)),
        ((1, 1, 1), (0, 1, 2)),
        ((1, 2, 2), (1, 0, 2)),
    ],
)
def test_the_coarsest_axis_comes_first_and_the_first_of_ties(spacing: tuple, order: tuple) -> None:
    assert axis_order(spacing, (20, 30, 30)).value == order


@pytest.mark.parametrize(
    ("spacing", "shape", "order"),
    [
        ((0.5, 1, 1), (1, 30, 40), (0, 1, 2)),
        ((3, 1, 1), (20, 1, 40), (1, 0, 2)),
        ((1, 1, 1.1), (30, 40, 1), (2, 0, 1)),
        ((1, 2, 3), (1, 1, 40), (1, 0, 2)),
    ],
)
def test_an_axis_of_one_voxel_comes_before_the_coarsest(spacing: tuple, shape: tuple, order: tuple) -> None:
    assert axis_order(spacing, shape).value == order


def test_median_shape_is_of_resampled_cases_rounded_one_by_one() -> None:
    measured = fingerprint([(1, 1, 1), (3, 1, 1)], [(10, 21, 30), (11, 20, 30)])
    # 10 and 33 voxels of 1 mm become 5 and 16 (16.5 to even); 21 and 20 become 21 and 20
    assert median_shape(measured, (2, 1, 1.5)) == (10.5, 20.5, 20)


def test_coarsening_starts_with_the_fine_axes() -> None:
    np.testing.assert_allclose(coarser_spacing(np.array([5.0, 1.0, 2.6])), [5, 1.03, 2.6])
    np.testing.assert_allclose(coarser_spacing(np.array([2.0, 1.0, 1.5])), [2.06, 1.03, 1.545])
