"""The part of an image that was acquired: its non-zero voxels and the box around them.

Isensee et al. 2021 (Nature Methods 18:203), supplement: images are cropped to the region of
non-zero voxels, which saves computation where the outside was blanked (skull-stripped MR, say).
"""

from __future__ import annotations

from collections.abc import Sequence

import cc3d
import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import Shape


def nonzero_mask(image: NDArray, present: Sequence[bool]) -> NDArray[np.bool_]:
    """Voxels (z, y, x) that are not zero in any present channel of `image` (channel, z, y, x).

    Holes, zero voxels that no path over voxel faces joins to the image's border, count as inside.
    """
    mask = np.zeros(image.shape[1:], dtype=bool)
    for channel, there in zip(image, present, strict=True):
        if there:
            # plane by plane: no second mask of the whole image
            for plane, values in zip(mask, channel, strict=True):
                plane |= values != 0
    # outside the box around the mask there are no holes
    lower, upper = box_of(mask)
    inside = mask[tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))]
    if not inside.all():
        _fill_holes(inside)
    return mask


def box_of(mask: NDArray[np.bool_]) -> tuple[Shape, Shape]:
    """Smallest box (lower, upper), each (z, y, x), upper end excluded, around the true voxels.

    The whole array where no voxel is true.
    """
    spans = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        touched = np.flatnonzero(mask.any(axis=others))
        if touched.size == 0:
            z, y, x = mask.shape
            return (0, 0, 0), (z, y, x)
        spans.append((int(touched[0]), int(touched[-1]) + 1))
    lower, upper = zip(*spans, strict=True)
    return (lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2])


def _fill_holes(mask: NDArray[np.bool_]) -> None:
    """Set, in place, the components of false voxels (6-neighbourhood) that do not reach the border."""
    outside = cc3d.connected_components(~mask, connectivity=6)
    at_border = np.zeros(int(outside.max()) + 1, dtype=bool)
    for axis in range(3):
        for end in (0, -1):
            at_border[np.unique(np.take(outside, end, axis=axis))] = True
    at_border[0] = True
    if at_border.all():
        return
    for plane, components in zip(mask, outside, strict=True):
        plane |= ~at_border[components]
