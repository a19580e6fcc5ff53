"""Known rotations between images of other contrasts are measured; where nothing corresponds, nothing is."""

import math

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from autoseg.preprocessing.edge_refinement import QUICK, UNMOVED, refine
from autoseg.preprocessing.sequence_displacement import displacements
from autoseg.preprocessing.sequence_movement import Moved, movements
from tests.autoseg.preprocessing.test_align import MOVED, SHAPE, SPACING, T1, T2, anatomy, contrast, displaced

STILL = contrast(anatomy(), T1)


@pytest.mark.parametrize(
    ("mm", "degrees"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((0, 4.0, 0), (0, 0, 0)),
        ((0, 0, 0), (0, 0, 5.0)),
        ((1.0, -3.0, 2.0), (4.0, 0, 0)),
        MOVED,
    ],
    ids=str,
)
def test_a_known_movement_is_measured(mm: tuple[float, ...], degrees: tuple[float, ...]) -> None:
    """Vectors are (x, y, z); the image is moved by SimpleITK."""
    (found,) = movements(STILL, [displaced(contrast(anatomy(), T2), mm, degrees)], SPACING)
    assert found is not None and found.degrees is not None
    # resampling with a transform moves what is seen by its inverse
    turn = Rotation.from_euler("YXZ", [degrees[1], degrees[0], degrees[2]], degrees=True)
    angle = math.degrees(turn.magnitude())
    assert math.hypot(*found.degrees) == pytest.approx(angle, abs=0.8)
    expected = -turn.inv().apply(mm)
    assert np.abs(np.array(found.mm)[::-1] - expected).max() < 1.0
    assert np.abs(np.array(found.degrees)[::-1] + turn.as_rotvec(degrees=True)).max() < 0.8


def test_a_rotation_is_measured_where_a_translation_alone_cannot_be() -> None:
    turned = displaced(contrast(anatomy(), T2), (0, 0, 0), (0, 0, 12.0))
    assert displacements(STILL, [turned], SPACING) == [None]
    (found,) = movements(STILL, [turned], SPACING)
    assert found is not None and found.degrees is not None and math.hypot(*found.degrees) == pytest.approx(12, abs=1)


@pytest.mark.parametrize("seed", range(4))
def test_images_without_common_edges_do_not_tell(seed: int) -> None:
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(0, 1, SHAPE), (1, 3, 3)).astype(np.float32) + (anatomy() > 0)
    others = [smooth * (anatomy() > 0), contrast(anatomy(seed + 1), T2), np.zeros(SHAPE, np.float32)]
    assert movements(STILL, others, SPACING) == [None, None, None]


def noise(seed: int, shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_noise_in_thick_slices_does_not_tell(seed: int) -> None:
    """Its edges lie within the slices in both images, which looks like agreement."""
    shape, spacing = (10, 64, 64), (8.0, 0.5, 0.5)
    one, other = noise(seed, shape), noise(seed + 100, shape)
    assert refine(one, other, spacing, [UNMOVED], QUICK).by_chance > 0.1
    assert movements(one, [other], spacing) == [None]


@pytest.mark.parametrize("seed", range(3))
def test_a_ball_in_noise_tells_where_it_lies_and_not_how_it_is_turned(seed: int) -> None:
    shape, spacing = (12, 32, 32), (3.0, 1.0, 1.0)
    at = np.stack(
        np.meshgrid(*((np.arange(n) - n / 2) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij")
    )
    ball = 90.0 * (np.square(at).sum(axis=0) < 9**2)
    one, other = (noise(seed + i, shape) + ball.astype(np.float32) for i in (0, 100))
    (found,) = movements(one, [np.roll(other, 3, axis=2)], spacing)
    assert found is not None and found.degrees is None
    assert np.abs(np.subtract(found.mm, (0, 0, 3))).max() < 0.5


def test_halves_that_moved_differently_do_not_tell() -> None:
    there, back = (displaced(STILL, (0, shift, 0), (0, 0, 0)) for shift in (7.0, -7.0))
    halves = np.concatenate([there[:, :22], back[:, 22:]], axis=1)
    assert movements(STILL, [halves], SPACING) == [None]


def test_few_slices_tell_a_translation_alone() -> None:
    thin, moved = STILL[6:9], displaced(contrast(anatomy(), T2), (0, 4.0, 0), (0, 0, 0))[6:9]
    assert movements(thin, [moved], SPACING) == [Moved(displacements(thin, [moved], SPACING)[0], None)]
