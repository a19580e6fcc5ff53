"""Window positions and weights against nnU-Net's published rule and against analytic values."""

import numpy as np
import pytest

from autoseg.whole_image.windows import axis_weights, mirrorings, streaming_axis, summed_weights, window_starts


@pytest.mark.parametrize(
    ("length", "patch", "overlap", "expected"),
    [
        # nnU-Net's documented example: 110 voxels, patch 64, step 0.5 is not 0, 32, 46 but 0, 23, 46
        (110, 64, 0.5, (0, 23, 46)),
        (64, 64, 0.5, (0,)),
        (65, 64, 0.5, (0, 1)),
        (96, 64, 0.5, (0, 32)),
        (97, 64, 0.5, (0, 16, 33)),
        (5, 1, 0.5, (0, 1, 2, 3, 4)),
        (128, 64, 0.0, (0, 64)),
        (129, 64, 0.0, (0, 32, 65)),
        # an image shorter than the patch lies in its middle, the odd voxel behind it
        (10, 16, 0.5, (-3,)),
        (11, 16, 0.5, (-2,)),
    ],
)
def test_windows_are_few_and_evenly_spread(length: int, patch: int, overlap: float, expected: tuple[int, ...]) -> None:
    assert window_starts(length, patch, overlap) == expected


@pytest.mark.parametrize("length", range(16, 90, 7))
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.75])
def test_windows_cover_everything_and_overlap_enough(length: int, overlap: float) -> None:
    patch = 16
    starts = window_starts(length, patch, overlap)
    assert starts[0] == 0 and starts[-1] == length - patch
    steps = np.diff(starts)
    if len(steps):
        # rounding moves a window by half a voxel
        assert steps.max() <= patch * (1 - overlap) + 1
        assert steps.max() - steps.min() <= 1
        # one window fewer would overlap too little
        assert (length - patch) / max(len(starts) - 2, 1) > patch * (1 - overlap) or len(starts) == 2


def test_weights_are_a_gaussian_of_an_eighth_of_the_patch() -> None:
    weights = axis_weights(65)
    assert weights[32] == 1
    assert weights[32 + 8] == pytest.approx(np.exp(-0.5 * (8 / (65 / 8)) ** 2), rel=1e-6)
    np.testing.assert_allclose(weights, weights[::-1])
    assert axis_weights(1).tolist() == [1.0]
    # three ends multiplied stay a normal number of single precision
    assert axis_weights(512)[0] ** 3 > 1e-30


def test_summed_weights_count_every_window() -> None:
    total = summed_weights(20, 8, (0, 4, 8, 12))
    expected = np.zeros(20)
    for start in (0, 4, 8, 12):
        expected[start : start + 8] += axis_weights(8)
    np.testing.assert_allclose(total, expected, rtol=1e-6)


def test_the_slab_lies_across_the_axis_that_the_patch_covers_least() -> None:
    assert streaming_axis((300, 256, 256), (64, 128, 128)) == 0
    assert streaming_axis((40, 512, 256), (40, 128, 128)) == 1
    assert streaming_axis((40, 256, 256), (1, 256, 256)) == 0


def test_mirrorings_are_all_subsets() -> None:
    assert mirrorings((0, 2)) == ((), (0,), (2,), (0, 2))
    assert mirrorings(()) == ((),)
