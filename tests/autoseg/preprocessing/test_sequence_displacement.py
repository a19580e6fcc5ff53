"""Known displacements between images of other contrasts, and images that have nothing in common."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from autoseg.image.geometry import Spacing
from autoseg.preprocessing.sequence_displacement import displacements
from autoseg.synthetic_spine.cohort import draw_grid, draw_scene, plan_cohort
from autoseg.synthetic_spine.mr_signal import Motion, acquire

SPACING = (4.0, 1.1, 1.1)
SHAPE = (14, 72, 64)


def tissues(spacing: Spacing = SPACING, shape: tuple[int, int, int] = SHAPE, moved: Spacing = (0, 0, 0)) -> NDArray:
    """Which of five tissues, as blobs in mm, is at each voxel of a grid; all of them moved by some mm."""
    rng = np.random.default_rng(5)
    points = np.stack(np.meshgrid(*(np.arange(n) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij"), -1)
    points = points - np.asarray(moved)
    found = np.zeros(shape, int)
    for _ in range(60):
        centre, radius = rng.uniform((0, 0, 0), (56, 79, 70)), rng.uniform(5, 12)
        found[np.linalg.norm((points - centre) / (1.3, 1, 0.8), axis=-1) < radius] = rng.integers(1, 5)
    return found


def displacement(reference, moved, spacing):
    """Of one image, as tests want it."""
    (found,) = displacements(reference, [moved], spacing)
    return found


def scan(tissue: NDArray, signals: tuple[float, ...], seed: int, noise: float = 15.0) -> NDArray[np.float32]:
    """An image in which each tissue has a signal, slightly blurred, with noise."""
    image = ndimage.gaussian_filter(np.array(signals, float)[tissue], (0, 0.5, 0.5))
    return (image + np.random.default_rng(seed).normal(0, noise, tissue.shape)).astype(np.float32)


FIRST, SECOND = (100.0, 500.0, 300.0, 700.0, 250.0), (600.0, 150.0, 420.0, 80.0, 900.0)


@pytest.mark.parametrize(
    "moved", [(0, 0, 0), (0, 2.2, -3.3), (0, 0.6, 0.0), (4.0, -1.0, 1.7), (-4.0, 0.3, -5.0), (0, 8.0, 2.0)]
)
def test_a_known_displacement_is_found_in_another_contrast(moved: Spacing) -> None:
    found = displacement(scan(tissues(), FIRST, 1), scan(tissues(moved=moved), SECOND, 2), SPACING)
    assert found is not None
    assert found == pytest.approx(moved, abs=0.3)


def test_parts_of_a_slice_are_found_to_a_third_of_it() -> None:
    found = displacement(scan(tissues(), FIRST, 1), scan(tissues(moved=(2.0, 0, 0)), SECOND, 2), SPACING)
    assert found is not None and found[0] == pytest.approx(2.0, abs=1.4)


def test_large_images_are_averaged_and_still_told() -> None:
    spacing, shape = (4.0, 0.4, 0.4), (14, 190, 170)
    still, moved = tissues(spacing, shape), tissues(spacing, shape, (0, 1.5, -2.5))
    found = displacement(scan(still, FIRST, 1), scan(moved, SECOND, 2), spacing)
    assert found == pytest.approx((0, 1.5, -2.5), abs=0.4)


def test_where_one_image_ends_is_no_edge() -> None:
    still, moved = scan(tissues(), FIRST, 1), scan(tissues(moved=(0, 2.2, 0)), SECOND, 2)
    moved[:, 50:] = 0
    moved[:, :, :9] = 0
    still[:2] = 0
    assert displacement(still, moved, SPACING) == pytest.approx((0, 2.2, 0), abs=0.4)


def test_single_slices_move_within_their_plane() -> None:
    still, moved = scan(tissues()[6:7], FIRST, 1), scan(tissues(moved=(0, 1.1, 2.2))[6:7], SECOND, 2)
    assert displacement(still, moved, SPACING) == pytest.approx((0, 1.1, 2.2), abs=0.4)


@pytest.mark.parametrize("seed", range(10))
def test_images_without_common_edges_do_not_tell(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = scan(tissues(), FIRST, 1)
    assert displacement(image, rng.normal(100, 10, SHAPE).astype(np.float32), SPACING) is None
    other = ndimage.gaussian_filter(rng.normal(0, 1, SHAPE), (1, 3, 3)).astype(np.float32)
    assert displacement(image, other, SPACING) is None


def test_what_lies_too_far_apart_or_has_no_edge_does_not_tell() -> None:
    image = scan(tissues(), FIRST, 1)
    assert displacement(image, scan(tissues(moved=(0, 30, 0)), SECOND, 2), SPACING) is None
    assert displacement(image, np.full(SHAPE, 7, np.float32), SPACING) is None
    assert displacement(np.zeros(SHAPE, np.float32), image, SPACING) is None
    halves = np.concatenate([image[:, :36], scan(tissues(moved=(0, -5, 0)), FIRST, 1)[:, 36:]], axis=1)
    assert displacement(image, halves, SPACING) is None, "the halves moved by different amounts"


@pytest.mark.parametrize("sequence", ["T2", "STIR"])
@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (0.5, 2.0, -1.5)])
def test_the_motion_of_a_synthetic_spine_is_found(sequence: str, shift: tuple[float, float, float]) -> None:
    (plan,) = plan_cohort(1, 3, (14, 96, 64))
    grid, scene = draw_grid(plan), draw_scene(plan)
    still = acquire(scene, "T1", grid, Motion(), np.random.default_rng(0)).astype(np.float32)
    moved = acquire(scene, sequence, grid, Motion(shift=shift), np.random.default_rng(1)).astype(np.float32)
    # what is at a point is seen where the patient was before: against the shift, along the array axes
    expected = -np.asarray(grid.direction) @ np.asarray(shift)
    found = displacement(still, moved, grid.spacing)
    assert found is not None
    assert found[1:] == pytest.approx(expected[1:], abs=0.3)
    assert found[0] == pytest.approx(expected[0], abs=0.4 * grid.spacing[0])


def test_several_images_are_measured_as_each_alone():
    still, moved, turned = (
        scan(tissues(), FIRST, 1),
        scan(tissues(moved=(2.0, 0, 0)), SECOND, 2),
        scan(tissues(moved=(0, 2.0, 0)), SECOND, 3),
    )
    alone = [displacement(still, image, SPACING) for image in (moved, turned)]
    assert displacements(still, [moved, turned], SPACING) == alone
    assert None not in alone
