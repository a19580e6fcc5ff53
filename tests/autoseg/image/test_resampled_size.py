"""Which images make sense at a spacing: real scans do, wrong units and exponents do not."""

import pytest

from autoseg.image.geometry import Geometry
from autoseg.image.resampled_size import resampled_voxels, why_impossible

DIRECTION = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
EXPECTED = 128.0**3


def grid(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Geometry:
    return Geometry(shape, spacing, (0.0, 0.0, 0.0), DIRECTION)


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((128, 128, 128), (1.0, 1.0, 1.0)),
        # the whole trunk in CT, though the model was trained on small crops
        ((800, 512, 512), (0.8, 0.7, 0.7)),
        ((2000, 2000, 2000), (1.0, 1.0, 1.0)),
        # PET, thick slices, small animals
        ((300, 200, 200), (4.0, 4.0, 4.0)),
        ((30, 512, 512), (10.0, 0.8, 0.8)),
        ((400, 600, 600), (0.05, 0.05, 0.05)),
        # enlarged by much, to no more voxels than a usual image has
        ((5, 5, 5), (20.0, 20.0, 20.0)),
    ],
)
def test_real_images_are_possible(shape: tuple, spacing: tuple) -> None:
    assert why_impossible(grid(shape, spacing), (1.0, 1.0, 1.0), EXPECTED) is None


@pytest.mark.parametrize(
    ("shape", "spacing", "named"),
    [
        ((100, 200, 200), (20.0, 20.0, 20.0), ["20 x 20 x 20 mm", "32,000 million voxels", "2.1 million"]),
        ((30, 30, 30), (1000.0, 1000.0, 1000.0), ["27,000,000 million", "1,000,000,000 times"]),
        ((30, 256, 256), (1e6, 1.0, 1.0), ["1e+06 x 1 x 1 mm", "crop the image"]),
        ((128, 128, 128), (0.001, 0.001, 0.001), ["0.001 x 0.001 x 0.001 mm", "metres"]),
    ],
)
def test_wrong_units_and_exponents_are_not(shape: tuple, spacing: tuple, named: list[str]) -> None:
    reason = why_impossible(grid(shape, spacing), (1.0, 1.0, 1.0), EXPECTED)
    assert reason is not None
    for words in named:
        assert words in reason


def test_voxels_follow_from_the_extent() -> None:
    assert resampled_voxels(grid((10, 20, 30), (2.0, 1.0, 0.5)), (1.0, 2.0, 0.25)) == 20 * 10 * 60
