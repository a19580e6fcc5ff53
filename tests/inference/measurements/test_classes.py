"""Measurements of a class, against SimpleITK and against numbers that were counted by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from autoseg.image.geometry import Geometry
from autoseg.image.labels import Labels
from autoseg.metrics.diameters import diameters
from autoseg.whole_image.case_probabilities import CaseProbabilities
from autoseg.whole_image.mixture import Mixture
from inference.measurements.classes import axial_axis, measured_classes
from inference.measurements.lesions import lesion_rows
from tests.example_record import example_geometry, example_record

SHAPE = (10, 24, 20)
SPACING = (3.0, 0.8, 0.9)
GRID = example_geometry(SHAPE, SPACING)
LABELS = Labels(values=(0, 3, 8, 9), names=("background", "organ", "lesion", "absent"))
LOWER, UPPER = (1, 2, 0), (10, 24, 20)
CROP = tuple(slice(a, b) for a, b in zip(LOWER, UPPER, strict=True))


def case() -> tuple[np.ndarray, np.ndarray, Mixture]:
    """Random blobs of two classes, and their probabilities in the crop at the image's own spacing."""
    rng = np.random.default_rng(4)
    smooth = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1.2)
    classes = np.digitize(smooth / smooth.std(), (0.3, 1.3)).astype(np.uint8)
    classes[0], classes[:, :2] = 0, 0
    probabilities = rng.dirichlet(np.ones(4), SHAPE).transpose(3, 0, 1, 2)[(slice(None), *CROP)].astype(np.float32)
    record = example_record(GRID, crop_lower=LOWER, crop_upper=UPPER)
    return classes, probabilities, Mixture([CaseProbabilities(probabilities, record)])


def test_volume_components_and_probability_of_each_class() -> None:
    classes, probabilities, mixture = case()
    found = measured_classes(classes, mixture, LABELS)
    assert [one.name for one in found] == ["organ", "lesion", "absent"]
    for index, one in enumerate(found[:2], start=1):
        image = sitk.GetImageFromArray((classes == index).astype(np.uint8))
        image.SetSpacing(SPACING[::-1])
        parts = sitk.ConnectedComponent(image, True)
        shapes = sitk.LabelShapeStatisticsImageFilter()
        shapes.Execute(parts)
        sizes = {number: shapes.GetPhysicalSize(number) for number in shapes.GetLabels()}
        assert one.components == len(sizes) > 1 and one.voxels == (classes == index).sum()
        assert one.volume_ml == pytest.approx(sum(sizes.values()) / 1000)
        assert one.mean_probability == pytest.approx(probabilities[index][classes[CROP] == index].mean(), abs=1e-5)
        numbers = sitk.GetArrayFromImage(parts)
        largest = max(sizes, key=sizes.get)
        assert numbers[one.place] == largest and one.component_voxels == (numbers == largest).sum()
        of_each = [diameters(numbers == number, SPACING) for number in sizes]
        assert one.largest.largest_mm == pytest.approx(max(size.largest_mm for size in of_each))
        assert one.largest.axial_mm == pytest.approx(max(size.axial_mm for size in of_each))
    absent = found[2]
    assert (absent.voxels, absent.components, absent.largest, absent.mean_probability) == (0, 0, None, None)


def test_the_axial_slices_are_those_of_the_patient() -> None:
    assert axial_axis(GRID) == 0
    sagittal = Geometry((9, 64, 48), (4.0, 1.0, 1.0), (0.0, 0.0, 0.0), ((1, 0, 0), (0, 0, -1), (0, 1, 0)))
    assert axial_axis(sagittal) == 1


def test_the_thickness_of_a_picture_is_no_diameter() -> None:
    """A row of eight pixels of 0.03 mm is 0.24 mm long, as a class and as a lesion; the slice has 1 mm in numbers."""
    classes = np.zeros((1, 12, 14), np.uint8)
    classes[0, 4, 3:11] = 1
    record = example_record(Geometry(classes.shape, (1.0, 0.05, 0.03), (0.0, 0.0, 0.0), GRID.direction))
    labels = Labels(values=(0, 1), names=("background", "lesion"))
    mixture = Mixture([CaseProbabilities(np.stack([1.0 - classes, classes]).astype(np.float32), record)])
    (one,) = measured_classes(classes, mixture, labels)
    assert one.largest.largest_mm == one.largest.axial_mm == pytest.approx(0.24)
    plan = SimpleNamespace(labels=labels, lesions=("lesion",))
    (row,) = lesion_rows("a", classes, mixture, (), plan, {})
    # largest and axial diameter come before the agreement
    assert row.cells[-3:-1] == ("0.24", "0.24")
