"""Sequences that were displaced by a known rigid movement are moved back, and others are left as they are."""

import math

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from autoseg.dataset.load import LoadedCase
from autoseg.image.geometry import IDENTITY, Geometry
from autoseg.plan.plan import FIRST
from autoseg.preprocessing.align import align, align_case, aligned_as_planned
from autoseg.preprocessing.edge_refinement import matrix_of
from tests.example_plan import example_plan

SHAPE, SPACING = (16, 44, 40), (4.0, 2.5, 2.5)


def anatomy(seed: int = 0) -> np.ndarray:
    """Ellipsoids in a body: tissue classes 0 to 5, with air around."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*(np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)), indexing="ij"), -1)
    extent = np.array(SHAPE) * SPACING
    tissue = (((grid - extent / 2) / (0.45 * extent)) ** 2).sum(-1) < 1
    tissue = tissue.astype(int)
    for _ in range(14):
        centre, radii = extent * rng.uniform(0.3, 0.7, 3), rng.uniform(6, 14, 3)
        tissue[(((grid - centre) / radii) ** 2).sum(-1) < 1] = rng.integers(2, 6)
    return tissue


def contrast(tissue: np.ndarray, values: tuple[float, ...]) -> np.ndarray:
    smooth = ndimage.gaussian_filter(np.array(values)[tissue], [0.25, 0.5, 0.5])
    return (smooth + (tissue > 0) * np.random.default_rng(3).normal(0, 3, SHAPE)).astype(np.float32) * (tissue > 0)


T1, T2 = (0, 100, 200, 60, 150, 30), (0, 150, 40, 220, 90, 250)


def displaced(array: np.ndarray, mm: tuple[float, ...], degrees: tuple[float, ...]) -> np.ndarray:
    """The array moved by SimpleITK itself; vectors are (x, y, z), the centre of the image stays the pivot."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING[::-1])
    transform = sitk.Euler3DTransform()
    transform.SetCenter([0.5 * (n - 1) * s for n, s in zip(SHAPE[::-1], SPACING[::-1], strict=True)])
    transform.SetRotation(*(math.radians(angle) for angle in degrees))
    transform.SetTranslation(mm)
    return sitk.GetArrayFromImage(sitk.Resample(image, image, transform, sitk.sitkLinear, 0.0))


@pytest.mark.parametrize(("mm", "degrees"), [((3.0, -4.0, 2.0), (0.0, 0.0, 0.0)), ((-2.0, 5.0, 3.0), (3.0, -2.0, 6.0))])
def test_a_movement_is_undone(mm: tuple[float, ...], degrees: tuple[float, ...]) -> None:
    fixed, original = contrast(anatomy(), T1), contrast(anatomy(), T2)
    moved, movement = align(fixed, displaced(original, mm, degrees), SPACING)
    assert movement.is_kept and movement.after > movement.before + 0.1
    # a point p of the fixed image is at movement(p) in the displaced one, which shows the original at t(movement(p))
    turn, back = matrix_of(np.array(movement.degrees)), np.array(movement.mm)[::-1]
    euler = sitk.Euler3DTransform()
    euler.SetRotation(*(math.radians(angle) for angle in degrees))
    euler.SetTranslation(mm)
    corners = [(x, y, z) for x in (-30, 30) for y in (-35, 35) for z in (-20, 20)]
    left = [np.linalg.norm(np.array(euler.TransformPoint((turn @ p + back).tolist())) - p) for p in corners]
    # a quarter of the thickness of a slice
    assert max(left) < 1.0
    inner = (slice(4, -4), slice(9, -9), slice(9, -9))
    assert np.abs(moved[inner] - original[inner]).mean() < 0.5 * np.abs(fixed[inner] - original[inner]).mean()


def test_what_lies_right_stays_within_a_fraction_of_a_voxel() -> None:
    _, movement = align(contrast(anatomy(), T1), contrast(anatomy(), T2), SPACING)
    assert math.hypot(*movement.mm) < 0.5 and max(map(abs, movement.degrees)) < 0.5


def test_the_same_bits_again() -> None:
    fixed, moving = contrast(anatomy(), T1), displaced(contrast(anatomy(), T2), (2.0, 2.0, 2.0), (2.0, 0.0, 0.0))
    assert np.array_equal(align(fixed, moving, SPACING)[0], align(fixed, moving, SPACING)[0])


def case(*present: bool) -> LoadedCase:
    tissue = anatomy()
    images = [contrast(tissue, T1), displaced(contrast(tissue, T2), (0.0, 6.0, 0.0), (0.0, 0.0, 0.0))]
    image = np.stack([one * there for one, there in zip(images, present, strict=True)])
    geometry = Geometry(SHAPE, SPACING, (0.0, 0.0, 0.0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))
    return LoadedCase(image, present, None, geometry, IDENTITY)


def test_the_chosen_sequence_stays_and_what_was_moved_is_told() -> None:
    loaded = case(True, True)
    onto_t2 = align_case(loaded, ["T1", "T2"], "T2")
    assert np.array_equal(onto_t2.image[1], loaded.image[1]) and not np.array_equal(onto_t2.image[0], loaded.image[0])
    (told,) = onto_t2.warnings
    assert told.startswith("T1 onto T2: moved by 6.")
    onto_first = align_case(loaded, ["T1", "T2"], FIRST)
    assert np.array_equal(onto_first.image[0], loaded.image[0])


def test_nothing_is_aligned_unless_planned() -> None:
    loaded = case(True, True)
    assert aligned_as_planned(loaded, example_plan()) is loaded
    alone = case(True, False)
    assert align_case(alone, ["T1", "T2"], "T2").warnings == ()


def test_unrelated_images_are_left_as_they_are() -> None:
    noise = np.random.default_rng(1).normal(100, 20, SHAPE).astype(np.float32)
    loaded = case(True, True)
    loaded.image[1] = noise
    (told,) = align_case(loaded, ["T1", "T2"], "T1").warnings
    assert "left as it is" in told
