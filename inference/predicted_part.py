"""Tells which part of an image is predicted, and where a prediction reaches the border of the plan's region."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import slices_of
from autoseg.plan.region import Region
from autoseg.preprocessing.region import Part


def limits(region: Region) -> str:
    """What a person is told before images are predicted: the part of them that is looked at."""
    return f"Predicted is where foreground lay in training: {region.text}. --whole-image predicts whole images"


def notes(part: Part, classes: NDArray[np.uint8]) -> tuple[str, ...]:
    """What a person is told of one image, each a sentence.

    Args:
        part: part of the image that was predicted.
        classes: predicted class indices (z, y, x) of the whole image.
    """
    if part.why_whole:
        return (f"{part.why_whole}; so the whole image is predicted",)
    if reaches_border(part, classes):
        return ("the prediction reaches the border of the region, so more may lie outside of it; --whole-image tells",)
    return ()


def reaches_border(part: Part, classes: NDArray[np.uint8]) -> bool:
    """Whether foreground lies in an outermost plane of a part that is not an outermost plane of the image.

    Args:
        part: part of the image that was predicted.
        classes: predicted class indices (z, y, x) of the whole image.
    """
    inside = classes[slices_of(part.box)]
    lower, upper = part.box
    return any(
        (lower[axis] > 0 and inside.take(0, axis=axis).any())
        or (upper[axis] < classes.shape[axis] and inside.take(-1, axis=axis).any())
        for axis in range(3)
    )
