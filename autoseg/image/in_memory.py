"""Takes images that a program holds in memory, with the checks that files go through.

In: an image of SimpleITK, an array of NumPy with its spacing, or an object that gives an image of SimpleITK (TorchIO's
images do). Out: `Image`, an array (channel, z, y, x) of its own and its `Geometry`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from autoseg.errors import ImageError, InputError
from autoseg.image.geometry import STRAIGHT, Geometry
from autoseg.image.image import Image, from_sitk
from autoseg.image.image_header import COMPLEX, itk_errors_told, require_image
from autoseg.image.sound_geometry import require_sound


def image_in_memory(given: object, name: Path, spacing: Sequence[float] | None, *, pictures: bool = False) -> Image:
    """Copy an image, so that nothing changes what was given.

    Args:
        given: image of SimpleITK, or object whose `as_sitk()` returns one; or array (z, y, x) or (channel, z, y, x),
            whose axes z, y and x grow to superior, posterior and left.
        name: what the image is called in messages.
        spacing: spacing (z, y, x) in mm of an array; None for other images.
        pictures: whether pictures are expected, of which SimpleITK makes up the size of the pixels.

    Returns:
        The image in float32.

    Raises:
        ImageError: it is no image of a patient, such as one of complex numbers.
        InputError: it is none of these objects, or an array without spacing, or another image with a spacing, or a
            picture that SimpleITK read.
    """
    if isinstance(given, np.ndarray):
        return _of_array(given, name, spacing)
    image = given if isinstance(given, sitk.Image) else _by_method(given, name)
    if spacing is not None:
        raise InputError(f"{name}: the image has a spacing of its own; give spacing for arrays alone")
    if pictures and image.GetDimension() == 2:
        raise InputError(
            f"{name}: is an image of SimpleITK with two dimensions, and the models are of pictures, of which SimpleITK "
            "makes up the size of a pixel; give the path of the picture, or an array (1, y, x) with its spacing"
        )
    if image.GetPixelIDTypeAsString().startswith("label"):
        # ITK ends the whole process where one asks for its voxels
        raise ImageError(
            f"{name}: is a label map object of ITK; give an image, such as sitk.LabelMapToLabel makes of it"
        )
    require_image(name, image)
    with itk_errors_told(name), np.errstate(over="ignore"):
        # what float32 cannot hold becomes infinite, and is refused as such
        return from_sitk(image, np.float32)


def _by_method(given: object, name: Path) -> sitk.Image:
    as_sitk = getattr(given, "as_sitk", None)
    image = as_sitk() if callable(as_sitk) else None
    if not isinstance(image, sitk.Image):
        raise InputError(
            f"{name}: a {type(given).__name__} is no image; give a path, an image of SimpleITK, or an array of NumPy "
            "(z, y, x) with its spacing"
        )
    return image


def _of_array(array: NDArray, name: Path, spacing: Sequence[float] | None) -> Image:
    if spacing is None:
        raise InputError(f"{name}: an array has no spacing; give spacing=(z, y, x) in mm")
    if array.ndim not in (3, 4):
        raise ImageError(f"{name}: has {array.ndim} dimensions, expected (z, y, x) or (channel, z, y, x)")
    if not array.size:
        raise ImageError(f"{name}: has no voxel, its shape is {array.shape}")
    if array.dtype.kind == "c":
        raise ImageError(f"{name}: {COMPLEX}")
    if array.dtype.kind not in "buif":
        raise ImageError(f"{name}: holds no numbers, its dtype is {array.dtype}")
    if np.ma.is_masked(array):
        raise ImageError(f"{name}: some of its voxels are masked; give each of them a value, by array.filled(value)")
    z, y, x = array.shape[-3:]
    geometry = Geometry((z, y, x), _spacing(spacing, name), (0.0, 0.0, 0.0), STRAIGHT)
    require_sound(name, geometry)
    with np.errstate(over="ignore"):
        voxels = np.array(array if array.ndim == 4 else array[None], np.float32, order="C")
    return Image(voxels, geometry)


def _spacing(spacing: Sequence[float], name: Path) -> tuple[float, float, float]:
    try:
        z, y, x = (float(mm) for mm in spacing)
    except (TypeError, ValueError):
        raise InputError(f"{name}: spacing is {spacing!r}; give three numbers in mm, (z, y, x)") from None
    return z, y, x
