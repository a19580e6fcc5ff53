"""Images in memory beside what SimpleITK says of them."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.errors import ImageError, InputError
from autoseg.image.image import to_sitk
from autoseg.image.in_memory import image_in_memory

NAME = Path("T1")
VOXELS = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


def test_an_array_lies_as_one_of_simpleitk_does():
    made = image_in_memory(VOXELS, NAME, (3.0, 2.0, 1.0))
    same = sitk.GetImageFromArray(VOXELS)
    same.SetSpacing((1, 2, 3))
    of_itk = image_in_memory(same, NAME, None)
    assert made.geometry == of_itk.geometry and made.geometry.orientation() == "SPL"
    np.testing.assert_array_equal(made.array, of_itk.array)
    assert made.array.dtype == np.float32 and made.array.shape == (1, 4, 5, 6)
    made.array[0, 0, 0, 0] = 99
    assert VOXELS[0, 0, 0] == 0 and same[0, 0, 0] == 0


@pytest.mark.parametrize("kind", ["components", "fourth dimension", "array"])
def test_channels_come_first(kind):
    both = np.stack([VOXELS, VOXELS + 500])
    if kind == "components":
        given = sitk.Compose([sitk.GetImageFromArray(VOXELS), sitk.GetImageFromArray(VOXELS + 500)])
    else:
        given = sitk.GetImageFromArray(both, isVector=False) if kind == "fourth dimension" else both
    made = image_in_memory(given, NAME, (1, 1, 1) if kind == "array" else None)
    np.testing.assert_array_equal(made.array, both)


def test_an_image_and_back_is_the_same_place():
    image = sitk.GetImageFromArray(VOXELS)
    image.SetSpacing((0.7, 0.8, 4.0))
    image.SetOrigin((-3.5, 7.25, 11.0))
    image.SetDirection((0, 0.6, 0.8, 1, 0, 0, 0, 0.8, -0.6))
    back = to_sitk(image_in_memory(image, NAME, None))
    for place in ("GetSpacing", "GetOrigin", "GetDirection", "GetSize"):
        assert getattr(back, place)() == getattr(image, place)()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), VOXELS)


def test_a_slice_is_an_image_of_one_slice():
    assert image_in_memory(sitk.GetImageFromArray(VOXELS[0]), NAME, None).array.shape == (1, 1, 5, 6)


class Other:
    def __init__(self, image):
        self.image = image

    def as_sitk(self):
        return self.image


def test_objects_that_give_an_image_are_taken_by_their_method():
    made = image_in_memory(Other(sitk.GetImageFromArray(VOXELS)), NAME, None)
    np.testing.assert_array_equal(made.array[0], VOXELS)
    with pytest.raises(InputError, match="T1: a Other is no image; give a path"):
        image_in_memory(Other("nothing"), NAME, None)
    with pytest.raises(InputError, match="has a spacing of its own"):
        image_in_memory(sitk.GetImageFromArray(VOXELS), NAME, (1, 1, 1))


def test_five_dimensions_are_too_many():
    with pytest.raises(ImageError, match="has 5 dimensions"):
        image_in_memory(np.zeros((1, 1, 4, 5, 6)), NAME, (1, 1, 1))
