"""Sequences that were displaced by a known rigid movement are moved back, and others are left as they are."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from autoseg.dataset.case import Case
from autoseg.dataset.load import LoadedCase
from autoseg.image.geometry import IDENTITY, Geometry
from autoseg.plan.plan import FIRST
from autoseg.preprocessing.align import Movement, align, align_case, aligned_as_planned
from autoseg.preprocessing.edge_refinement import THOROUGH, UNMOVED, matrix_of, refine
from tests.example_plan import example_channel, example_plan

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


MOVED = ((-2.0, 5.0, 3.0), (3.0, -2.0, 6.0))


@pytest.fixture(scope="module")
def aligned() -> tuple[np.ndarray, Movement]:
    moved, movement = align(contrast(anatomy(), T1), displaced(contrast(anatomy(), T2), *MOVED), SPACING)
    assert movement is not None
    return moved, movement


def test_a_movement_is_undone(aligned: tuple[np.ndarray, Movement]) -> None:
    moved, movement = aligned
    assert movement.is_kept and movement.after > movement.before + 0.1
    # a point p of the fixed image is at movement(p) in the displaced one, which shows the original at t(movement(p))
    turn, back = matrix_of(np.array(movement.degrees)), np.array(movement.mm)[::-1]
    euler = sitk.Euler3DTransform()
    euler.SetRotation(*(math.radians(angle) for angle in MOVED[1]))
    euler.SetTranslation(MOVED[0])
    corners = [(x, y, z) for x in (-30, 30) for y in (-35, 35) for z in (-20, 20)]
    left = [np.linalg.norm(np.array(euler.TransformPoint((turn @ p + back).tolist())) - p) for p in corners]
    # a quarter of the thickness of a slice
    assert max(left) < 1.0
    fixed, original = contrast(anatomy(), T1), contrast(anatomy(), T2)
    inner = (slice(4, -4), slice(9, -9), slice(9, -9))
    assert np.abs(moved[inner] - original[inner]).mean() < 0.5 * np.abs(fixed[inner] - original[inner]).mean()


def test_the_same_bits_again(aligned: tuple[np.ndarray, Movement]) -> None:
    again, movement = align(contrast(anatomy(), T1), displaced(contrast(anatomy(), T2), *MOVED), SPACING)
    assert np.array_equal(again, aligned[0]) and movement == aligned[1]


def test_large_images_are_averaged_and_the_pivot_stays_the_centre() -> None:
    fixed, moving = contrast(anatomy(), T1)[:, :43, :39], displaced(contrast(anatomy(), T2), *MOVED)[:, :43, :39]
    whole = refine(fixed, moving, SPACING, [UNMOVED])
    coarse = refine(fixed, moving, SPACING, [UNMOVED], replace(THOROUGH, most_voxels=fixed.size // 3))
    assert np.abs(np.subtract(coarse.rigid, whole.rigid)).max() < 0.8
    assert coarse.after > coarse.before


def case(second: np.ndarray, *present: bool) -> LoadedCase:
    images = [contrast(anatomy(), T1), second]
    image = np.stack([one * there for one, there in zip(images, present, strict=True)])
    geometry = Geometry(SHAPE, SPACING, (0.0, 0.0, 0.0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))
    return LoadedCase(image.astype(np.float32), present, None, geometry, IDENTITY)


def test_the_chosen_sequence_stays_air_is_air_and_what_was_moved_is_told() -> None:
    loaded = case(displaced(contrast(anatomy(), T2), (0.0, 6.0, 0.0), (0.0, 0.0, 0.0)), True, True)
    # as a CT, whose air is -1000
    loaded.image[0] -= 1000
    onto_t2 = align_case(loaded, ["T1", "T2"], "T2", "anna")
    assert np.array_equal(onto_t2.image[1], loaded.image[1])
    assert not np.array_equal(onto_t2.image[0], loaded.image[0])
    assert onto_t2.image[0].max() < 0 and loaded.image[0].min() in onto_t2.image[0]
    (told,) = onto_t2.warnings
    assert re.match(r"anna: T1 onto T2: moved by [56]\.\d mm", told)


def test_what_lies_right_keeps_its_bits() -> None:
    loaded = case(contrast(anatomy(), T2), True, True)
    onto_first = align_case(loaded, ["T1", "T2"], FIRST, "anna")
    assert np.array_equal(onto_first.image, loaded.image)
    assert "left as it is" in onto_first.warnings[0]


def test_a_case_without_the_sequence_is_told() -> None:
    alone = case(contrast(anatomy(), T2), True, False)
    told = align_case(alone, ["T1", "T2"], "T2", "anna").warnings
    assert told == ("anna: lacks T2, onto which its sequences would be aligned: nothing is aligned",)


def test_nothing_is_aligned_unless_planned() -> None:
    loaded = case(contrast(anatomy(), T2), True, True)
    assert aligned_as_planned(loaded, example_plan(), Case("anna", (), drawn_on="T2")) is loaded


@pytest.mark.parametrize(("drawn_on", "stays"), [("T2", 1), ("T1", 0), (None, 0)])
def test_each_case_is_aligned_onto_what_its_label_was_drawn_on(drawn_on: str | None, stays: int) -> None:
    loaded = case(displaced(contrast(anatomy(), T2), (0.0, 6.0, 0.0), (0.0, 0.0, 5.0)), True, True)
    plan = example_plan(channels=(example_channel("T1"), example_channel("T2")), align="T1")
    found = aligned_as_planned(loaded, plan, Case("anna", (), drawn_on=drawn_on))
    assert np.array_equal(found.image[stays], loaded.image[stays])
    assert not np.array_equal(found.image[1 - stays], loaded.image[1 - stays])
    onto, other = ("T1", "T2") if stays == 0 else ("T2", "T1")
    (told,) = found.warnings
    size = re.fullmatch(rf"anna: {other} onto {onto}: moved by (\d\.\d) mm and (\d\.\d)°", told)
    assert size is not None and float(size[1]) == pytest.approx(6, abs=0.8)
    assert float(size[2]) == pytest.approx(5, abs=0.8)


@pytest.mark.parametrize("content", ["noise", "constant"])
def test_unrelated_images_are_left_as_they_are(content: str) -> None:
    noise = np.random.default_rng(1).normal(100, 20, SHAPE) if content == "noise" else np.full(SHAPE, 7.0)
    loaded = case(noise.astype(np.float32), True, True)
    found = align_case(loaded, ["T1", "T2"], "T1", "anna")
    assert np.array_equal(found.image, loaded.image) and "left as it is" in found.warnings[0]


@pytest.mark.parametrize("seed", range(3))
def test_noise_in_thick_slices_is_left_as_it_is(seed: int) -> None:
    """Its edges lie within the slices in both images, and so agree as much as some tissue does."""
    fixed, moving = np.random.default_rng(seed).normal(100, 20, (2, 10, 64, 64)).astype(np.float32)
    _, movement = align(fixed, moving, (8.0, 0.5, 0.5))
    assert movement is not None and not movement.is_kept
    assert replace(movement, mm=(0, 0, 0), degrees=(0, 0, 0), before=0, corner_voxels=1).is_kept is False


def test_few_slices_are_left_as_they_are() -> None:
    moved, movement = align(contrast(anatomy(), T1)[:3], contrast(anatomy(), T2)[:3], SPACING)
    assert movement is None and np.array_equal(moved, contrast(anatomy(), T2)[:3])
