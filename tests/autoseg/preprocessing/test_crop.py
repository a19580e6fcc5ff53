"""The non-zero mask against scipy's hole filling; boxes."""

import numpy as np
import pytest
from scipy import ndimage

from autoseg.preprocessing.crop import box_of, nonzero_mask


def test_the_mask_is_the_union_over_present_channels() -> None:
    image = np.zeros((3, 6, 6, 6), np.float32)
    image[0, 1, 1, 1] = -5
    image[1, 4, 4, 4] = 2
    image[2, 0, 0, 0] = 9
    mask = nonzero_mask(image, (True, True, False))
    assert np.argwhere(mask).tolist() == [[1, 1, 1], [4, 4, 4]]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_holes_are_filled_as_scipy_does(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    image = np.zeros((1, 20, 22, 24), np.float32)
    image[0, 3:15, 4:20, 2:21] = rng.random((12, 16, 19)) < share
    mask = nonzero_mask(image, (True,))
    np.testing.assert_array_equal(mask, ndimage.binary_fill_holes(image[0]))


def test_the_box_is_the_smallest_around_the_mask() -> None:
    mask = np.zeros((10, 11, 12), bool)
    mask[2, 3, 11] = mask[7, 3, 4] = True
    assert box_of(mask) == ((2, 3, 4), (8, 4, 12))


def test_an_empty_mask_keeps_everything() -> None:
    assert box_of(np.zeros((4, 5, 6), bool)) == ((0, 0, 0), (4, 5, 6))
    assert not nonzero_mask(np.zeros((1, 4, 5, 6), np.float32), (True,)).any()
