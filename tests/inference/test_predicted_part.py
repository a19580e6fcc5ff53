"""Prediction within the plan's region: nothing outside of it, and a word where more may be there."""

import numpy as np
import pytest

from autoseg.dataset.inputs import read_inputs
from autoseg.image.image import read_label
from autoseg.plan.plan import read_plan, write_plan
from autoseg.preprocessing.region import Part
from inference.predicted_part import reaches_border
from tests.example_plan import example_region
from tests.inference.bright_run import SHAPE, predict, run, straight, voxels, write

__all__ = ["run"]

BOX = (slice(0, 9), slice(5, 15), slice(0, 22))
"""The region of an image of `SHAPE`."""


def give_region(run):
    length = tuple(float(n) for n in SHAPE)
    half = example_region(lower=(0.0, 0.25, 0.0), upper=(0.5, 0.75, 1.0), shortest_mm=length, longest_mm=length)
    write_plan(run.plan, read_plan(run.plan).changed(region=half), {})


def predicted(run, tmp_path, array, geometry=None, **options):
    image = write(tmp_path / "in" / "a.nii.gz", array, geometry)
    problems, told = predict(run, read_inputs([image], ("T1",)), tmp_path / "out", **options)
    assert problems == ()
    return read_label(tmp_path / "out" / "a.nii.gz").array[0], told


def test_only_the_region_is_predicted_as_the_whole_image_would_be(run, tmp_path):
    array = voxels()
    whole, _ = predicted(run, tmp_path / "whole", array)
    give_region(run)
    part, told = predicted(run, tmp_path / "part", array)
    expected = np.zeros_like(whole)
    expected[BOX] = whole[BOX]
    assert whole[9:].any()
    np.testing.assert_array_equal(part, expected)
    assert "a: the prediction reaches the border of the region" in told and "--whole-image" in told
    assert "Predicted is where foreground lay in training: z 0% to 50%, y 25% to 75%, x 0% to 100% of the image" in told


def test_a_person_lifts_the_region(run, tmp_path):
    array = voxels()
    whole, _ = predicted(run, tmp_path / "whole", array)
    give_region(run)
    lifted, told = predicted(run, tmp_path / "lifted", array, whole_image=True)
    np.testing.assert_array_equal(lifted, whole)
    assert "Predicted is where" not in told and "border" not in told


def test_a_field_of_view_unlike_those_of_training_is_predicted_whole_and_told(run, tmp_path):
    give_region(run)
    array = voxels(shape=(36, 20, 22))
    part, told = predicted(run, tmp_path, array, straight(array.shape))
    np.testing.assert_array_equal(part > 0, array > array.mean())
    assert "a: the image is 36 mm long along z, in training 18 to 18 mm; so the whole image is predicted" in told


def test_a_prediction_inside_the_region_needs_no_word(run, tmp_path):
    give_region(run)
    array = np.full(SHAPE, 60, np.float32)
    array[3:6, 8:12, 5:9] = 140
    part, told = predicted(run, tmp_path, array)
    assert part[3:6, 8:12, 5:9].all() and "border" not in told


@pytest.mark.parametrize(
    ("voxel", "reaches"), [((2, 5, 5), True), ((4, 5, 5), False), ((4, 0, 5), False), ((4, 5, 7), True)]
)
def test_the_border_of_the_image_is_none_of_the_region(voxel, reaches):
    classes = np.zeros((10, 10, 10), np.uint8)
    classes[voxel] = 1
    assert reaches_border(Part(((2, 0, 1), (10, 10, 8))), classes) == reaches
