"""Decides which part of an image is predicted: the plan's region, or the whole image where it is unlike those of
training; and tells where a prediction reaches the region's border.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoseg.dataset.load import LoadedCase
from autoseg.plan.plan import Plan
from autoseg.plan.region import Box
from autoseg.preprocessing.region import region_box, why_whole

REACHES_BORDER = (
    "the prediction reaches the border of the region, so more may lie outside of it; --whole-image predicts all"
)


@dataclass(frozen=True)
class PredictedPart:
    """The part of one image that is predicted.

    Args:
        plan: the plan, without its region where the whole image is predicted.
        box: the region in voxels (z, y, x) of the reoriented image; None = the whole image.
        told: what the person is told, each a sentence.
    """

    plan: Plan
    box: Box | None
    told: tuple[str, ...]


def predicted_part(loaded: LoadedCase, plan: Plan) -> PredictedPart:
    """The part of an image that is predicted with a plan."""
    if plan.region is None:
        return PredictedPart(plan, None, ())
    if reason := why_whole(loaded, plan.region):
        return PredictedPart(plan.changed(region=None), None, (f"{reason}; so the whole image is predicted",))
    return PredictedPart(plan, region_box(loaded, plan.region), ())


def reaches_border(classes: NDArray[np.uint8], box: Box) -> bool:
    """Whether foreground lies in an outermost plane of a box that is not an outermost plane of the image.

    Args:
        classes: class indices (z, y, x) of the whole image.
        box: box in voxels (z, y, x).
    """
    inside = tuple(slice(a, b) for a, b in zip(*box, strict=True))
    part = classes[inside]
    for axis in range(3):
        first, last = part.take(0, axis=axis), part.take(-1, axis=axis)
        if (box[0][axis] > 0 and first.any()) or (box[1][axis] < classes.shape[axis] and last.any()):
            return True
    return False
