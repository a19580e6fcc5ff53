"""The record of a preprocessed case that tests start from: neither turned, cropped nor resampled."""

from autoseg.image.geometry import IDENTITY, Geometry, Reorientation, Shape, Spacing
from autoseg.run_folder.preprocessed_case import CaseRecord

STRAIGHT = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
"""Directions of array axes (z, y, x) that grow to superior, posterior and left, as in canonical orientation."""


def example_geometry(shape: Shape, spacing: Spacing = (1.0, 1.0, 1.0)) -> Geometry:
    """A grid in canonical orientation, whose first voxel is at the origin."""
    return Geometry(shape, spacing, (0.0, 0.0, 0.0), STRAIGHT)


def example_record(
    stored: Geometry,
    *,
    case: str = "a",
    reorientation: Reorientation = IDENTITY,
    crop_lower: Shape = (0, 0, 0),
    crop_upper: Shape | None = None,
    spacing: Spacing | None = None,
    shape: Shape | None = None,
    present: tuple[bool, ...] = (True,),
) -> CaseRecord:
    """The record of an image that is stored on a grid.

    Args:
        stored: grid of the stored image.
        case: name of the case.
        reorientation: flips and permutation of the stored axes.
        crop_lower: lower end (z, y, x) of the crop.
        crop_upper: upper end (z, y, x) of the crop; None = that of the whole image.
        spacing: spacing (z, y, x) of the preprocessed arrays in mm; None = the image's own.
        shape: shape (z, y, x) of the preprocessed arrays; None = that of the crop.
        present: for each channel, whether the case has it.
    """
    turned = reorientation.apply_to_geometry(stored)
    upper = crop_upper or turned.shape
    return CaseRecord(
        case=case,
        stored=stored,
        reorientation=reorientation,
        crop_lower=crop_lower,
        crop_upper=upper,
        spacing=spacing or turned.spacing,
        shape=shape or tuple(high - low for low, high in zip(crop_lower, upper, strict=True)),
        present=present,
    )
