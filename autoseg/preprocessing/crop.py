"""Finds the non-zero voxels of an image and the box around them, to which the image is cropped.

Isensee et al. 2021 (Nature Methods 18:203), supplement: images are cropped to the region of
non-zero voxels, which saves computation where the outside was set to zero, such as in skull-stripped MR.
"""

from __future__ import annotations

from collections.abc import Sequence

import cc3d
import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import Corners, slices_of


def nonzero_mask(image: NDArray, present: Sequence[bool]) -> NDArray[np.bool_]:
    """Mask (z, y, x) of the voxels that are non-zero in at least one present channel, with holes filled.

    A hole is a group of zero voxels from which no path over voxel faces leads to the image's border.

    Args:
        image: image (channel, z, y, x).
        present: for each channel whether the sequence was acquired.
    """
    mask = np.zeros(image.shape[1:], dtype=bool)
    for channel, there in zip(image, present, strict=True):
        if there:
            # plane by plane, so that memory holds no second mask of the whole image
            for plane, values in zip(mask, channel, strict=True):
                plane |= values != 0
    # outside the box around the mask there are no holes
    inside = mask[slices_of(box_of(mask))]
    if not inside.all():
        _fill_holes(inside)
    return mask


def box_of(mask: NDArray[np.bool_]) -> Corners:
    """Smallest box around the true voxels, as (lower, upper), each (z, y, x), upper end excluded.

    If no voxel is true, the box is the whole array.
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


def labelled_box(label: NDArray[np.uint8] | NDArray[np.bool_]) -> Corners | None:
    """Box around all foreground of a label (z, y, x), as (lower, upper), upper end excluded; None without any."""
    return box_of(label > 0) if label.any() else None


def _fill_holes(mask: NDArray[np.bool_]) -> None:
    """Set components of false voxels (6-neighbourhood) that do not reach the border to true, in place."""
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
