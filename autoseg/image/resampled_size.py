"""Whether an image has a size that makes sense once it is resampled to the spacing that a network works at.

In: shape and spacing of an image, the target spacing, and the voxels that are expected. Out: a sentence that says what
is wrong, or None. A wrong unit or exponent in a header would otherwise cost days of work, or more memory than any
machine has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from autoseg.image.geometry import Geometry, Spacing

MOST_ENLARGED = 100.0
"""Resampling may multiply the voxels by this factor: from 4 mm to 1 mm in three axes is a factor of 64."""

MOST_OF_EXPECTED = 8.0
"""An enlarged image may have this many times the expected voxels."""

FAR_FINER = 100.0
"""Voxels that are finer by this factor along every axis have another unit, as metres have."""


def resampled_voxels(geometry: Geometry, target: Sequence[float]) -> float:
    """Return the number of voxels of an image at another spacing.

    Args:
        geometry: grid of the image.
        target: the other spacing in mm (z, y, x).
    """
    return math.prod(n * s / t for n, s, t in zip(geometry.shape, geometry.spacing, target, strict=True))


def why_impossible(geometry: Geometry, target: Spacing, expected: float) -> str | None:
    """Return why an image cannot be meant for a spacing, with what is expected and what to do; None if it can.

    Args:
        geometry: grid of the image, its axes in the order of `target`.
        target: spacing in mm (z, y, x) that the image would be resampled to.
        expected: number of voxels of a usual image at that spacing.
    """
    voxels, own = resampled_voxels(geometry, target), math.prod(geometry.shape)
    if all(s * FAR_FINER < t for s, t in zip(geometry.spacing, target, strict=True)):
        return (
            f"its voxels of {in_mm(geometry.spacing)} are over {FAR_FINER:g} times finer than the {in_mm(target)} that "
            "are expected; correct the spacing in its header, which may be written in metres"
        )
    if voxels > max(MOST_ENLARGED * own, MOST_OF_EXPECTED * expected):
        return (
            f"its header says that a voxel has {in_mm(geometry.spacing)}, which is probably wrong. At "
            f"{in_mm(target)} it would have {voxels / 1e6:,.0f} million voxels, {voxels / own:,.0f} times as many as "
            f"now; a usual image has {expected / 1e6:,.1f} million. Correct the spacing in its header; if it is right, "
            "crop the image"
        )
    return None


def in_mm(spacing: Sequence[float]) -> str:
    """Return a spacing as a text, such as `3 x 1 x 1 mm`."""
    return " x ".join(f"{s:.3g}" for s in spacing) + " mm"
