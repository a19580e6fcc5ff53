"""Surface metrics against SimpleITK's distances and solids whose surfaces are known."""

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.image.labels import Labels
from autoseg.metrics import case_metrics, surface_metrics


def blob(seed: int, shape: tuple[int, int, int] = (14, 24, 22)) -> np.ndarray:
    noise = sitk.GetImageFromArray(np.random.default_rng(seed).normal(size=shape).astype(np.float32))
    smooth = sitk.GetArrayFromImage(sitk.DiscreteGaussian(noise, 4.0))
    return smooth > np.quantile(smooth, 0.8)


def to_itk(mask: np.ndarray, spacing: tuple[float, float, float]) -> sitk.Image:
    image = sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))
    image.SetSpacing(spacing[::-1])
    return image


def directed_distances(a: sitk.Image, b: sitk.Image) -> np.ndarray:
    """Distances from a's boundary voxels to b's, by SimpleITK."""
    contour_a, contour_b = sitk.LabelContour(a, fullyConnected=False), sitk.LabelContour(b, fullyConnected=False)
    distance = sitk.SignedMaurerDistanceMap(
        contour_b, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )
    return np.maximum(sitk.GetArrayFromImage(distance), 0)[sitk.GetArrayFromImage(contour_a) > 0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (4.4, 0.7, 0.9)])
def test_hd95_agrees_with_simpleitk_on_random_masks(seed: int, spacing: tuple[float, float, float]) -> None:
    reference, prediction = blob(seed), blob(seed + 50)
    images = to_itk(reference, spacing), to_itk(prediction, spacing)
    there, back = directed_distances(*images), directed_distances(*images[::-1])
    expected = max(np.percentile(there, 95), np.percentile(back, 95))
    measured = surface_metrics(reference, prediction, spacing).hd95_mm
    assert measured == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_hd95_is_simpleitks_hausdorff_where_every_distance_is_equal(seed: int) -> None:
    random = np.random.default_rng(seed)
    spacing = tuple(random.uniform(0.4, 5.0, 3).tolist())
    reference, prediction = np.zeros((12, 12, 12), bool), np.zeros((12, 12, 12), bool)
    first, second = random.choice(12, 2, replace=False)
    plane = [slice(None)] * 3
    axis = seed % 3
    plane[axis] = first
    reference[tuple(plane)] = True
    plane[axis] = second
    prediction[tuple(plane)] = True
    hausdorff = sitk.HausdorffDistanceImageFilter()
    hausdorff.Execute(to_itk(reference, spacing), to_itk(prediction, spacing))
    measured = surface_metrics(reference, prediction, spacing).hd95_mm
    assert measured == pytest.approx(hausdorff.GetHausdorffDistance(), rel=1e-5)
    assert measured == pytest.approx(abs(int(first) - int(second)) * spacing[axis], rel=1e-5)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 0.5, 1.0)])
def test_surface_dice_of_two_boxes_is_their_area_within_the_tolerance(spacing: tuple[float, float, float]) -> None:
    """A box of 40 mm, and the same stretched by 10 mm along z; tolerance 2 mm, areas by hand.

    Reference, 6 * 40² mm²: its moved face is far from the other surface but for 2 mm along the rim.
    Prediction, 2 * 40² + 4 * 40 * 50: the far face is off, and the side walls beyond 2 mm.
    """
    z, y, x = (round(60 / s) for s in spacing)
    mm = [(np.arange(n) + 0.5) * s for n, s in zip((z, y, x), spacing, strict=True)]
    inside = [(m > 5) & (m < 45) for m in mm]
    reference = inside[0][:, None, None] & inside[1][:, None] & inside[2]
    prediction = ((mm[0] > 5) & (mm[0] < 55))[:, None, None] & inside[1][:, None] & inside[2]
    total = 6 * 40**2 + 2 * 40**2 + 4 * 40 * 50
    off = 36**2 + 40**2 + 4 * 40 * 8
    measured = surface_metrics(reference, prediction, spacing, tolerance_mm=2.0).surface_dice
    assert measured == pytest.approx(1 - off / total, abs=0.02)


def test_equal_masks_agree_fully() -> None:
    mask = blob(3)
    assert surface_metrics(mask, mask, (3.0, 1.0, 1.0)).hd95_mm == 0
    assert surface_metrics(mask, mask, (3.0, 1.0, 1.0)).surface_dice == pytest.approx(1)


def test_empty_masks_are_defined() -> None:
    nothing, something = np.zeros((5, 5, 5), bool), np.ones((5, 5, 5), bool)
    spacing = (1.0, 1.0, 1.0)
    both = surface_metrics(nothing, nothing, spacing)
    assert (both.hd95_mm, both.surface_dice) == (None, None)
    for pair in ((nothing, something), (something, nothing)):
        one = surface_metrics(*pair, spacing)
        assert (one.hd95_mm, one.surface_dice) == (None, 0.0)


def test_a_crop_that_holds_both_masks_changes_nothing() -> None:
    reference, prediction = (np.pad(blob(seed), 6) for seed in (1, 2))
    spacing = (3.0, 0.8, 0.8)
    inner = (slice(6, -6),) * 3
    whole, cropped = (
        surface_metrics(*masks, spacing) for masks in ((reference, prediction), (reference[inner], prediction[inner]))
    )
    assert whole.hd95_mm == pytest.approx(cropped.hd95_mm)
    assert whole.surface_dice == pytest.approx(cropped.surface_dice)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("seed", range(2))
def test_of_one_slice_the_outlines_are_compared(axis: int, seed: int) -> None:
    """In space every voxel of a single slice would be a boundary voxel; SimpleITK's contours in the plane tell."""
    reference, prediction = (np.ascontiguousarray(blob(s)[6]) for s in (seed, seed + 50))
    images = [sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8)) for mask in (reference, prediction)]
    for image in images:
        image.SetSpacing((0.9, 0.7))
    there, back = directed_distances(*images), directed_distances(*images[::-1])
    expected = max(np.percentile(there, 95), np.percentile(back, 95))
    spacing = np.insert([0.7, 0.9], axis, 5.0).tolist()
    masks = [np.expand_dims(mask, axis) for mask in (reference, prediction)]
    labels = Labels(values=(0, 1), names=("background", "blob"))
    (row,) = case_metrics("a", masks[0].astype(np.uint8), masks[1].astype(np.uint8), tuple(spacing), labels)
    assert row.hd95_mm == pytest.approx(expected, rel=1e-5)
    assert row.surface_dice is not None and 0 < row.surface_dice <= 1
    assert surface_metrics(*masks, tuple(spacing)).hd95_mm != pytest.approx(expected, rel=1e-4), "as voxels in space"


@pytest.mark.parametrize("shape", [(1, 8, 9), (8, 1, 9), (8, 9, 1), (1, 1, 9), (1, 1, 1), (4, 8, 9)])
@pytest.mark.parametrize("in_one", [False, True])
def test_a_class_that_is_in_no_or_one_label_map(shape: tuple[int, int, int], in_one: bool) -> None:
    labels = Labels(values=(0, 1, 2), names=("background", "blob", "absent"))
    reference = np.full(shape, int(in_one), np.uint8)
    blob_row, absent = case_metrics("a", reference, np.zeros(shape, np.uint8), (3.0, 1.0, 1.0), labels)
    assert (blob_row.dice, blob_row.hd95_mm, blob_row.surface_dice) == ((0.0, None, 0.0) if in_one else (None,) * 3)
    assert (absent.dice, absent.hd95_mm, absent.surface_dice) == (None, None, None)
    assert absent.specificity == 1.0 and absent.lesions.predicted == 0
