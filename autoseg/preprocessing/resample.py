"""Resamples images and label maps to another spacing.

The method is nnU-Net's (Isensee et al. 2021, Nature Methods 18:203, supplement): third-order splines
for images; for labels, the indicator of each class is interpolated linearly, so that no third class appears
between two others. If a case is anisotropic (the largest spacing is more than three times the
smallest, on its present or else its new grid), the one coarse axis is treated separately: voxels along it
are taken from the nearest plane, since splines across thick slices overshoot.

Volumes are processed in slabs of planes along z, in single precision: memory holds the input, the
output and one slab.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import Shape, Spacing
from autoseg.preprocessing.interpolation import Interpolation, Order, interpolation

ANISOTROPIC = 3.0
SLAB_BYTES = 64 * 2**20
Axes = tuple[Interpolation, Interpolation, Interpolation]
Box = tuple[slice, slice, slice]


def new_shape_for(shape: Shape, spacing: Spacing, new_spacing: Spacing) -> Shape:
    """Shape (z, y, x) in voxels of a grid of `new_spacing` with the same extent; at least 1 along each axis."""
    z, y, x = (max(1, round(old / new * n)) for old, new, n in zip(spacing, new_spacing, shape, strict=True))
    return z, y, x


def resample_image(
    array: NDArray[np.float32], spacing: Spacing, new_shape: Shape, new_spacing: Spacing
) -> NDArray[np.float32]:
    """Resample each channel by third-order splines (nearest plane along an anisotropic axis).

    The result equals `scipy.ndimage.zoom(order=3, mode="nearest", grid_mode=True)` where no axis is treated
    separately.

    Args:
        array: image (channel, z, y, x).
        spacing: spacing (z, y, x) of the present grid in mm. The two spacings decide only whether an axis
            is treated separately.
        new_shape: shape (z, y, x) of the new grid in voxels.
        new_spacing: spacing (z, y, x) of the new grid in mm.

    Returns:
        The image (channel, *new_shape) float32; `array` itself if the shape stays the same.
    """
    if array.shape[1:] == tuple(new_shape):
        return np.asarray(array, dtype=np.float32)
    z, y, x = array.shape[1:]
    axes = interpolations((z, y, x), spacing, new_shape, new_spacing, order=3)
    out = np.empty((len(array), *new_shape), dtype=np.float32)
    for planes in slabs(axes):
        box = (planes, slice(0, new_shape[1]), slice(0, new_shape[2]))
        for channel, target in zip(array, out, strict=True):
            target[planes] = resample_box(channel, axes, box)
    return out


def resample_label(
    array: NDArray[np.uint8], spacing: Spacing, new_shape: Shape, new_spacing: Spacing
) -> NDArray[np.uint8]:
    """Resample a map of class indices: a voxel gets the class with the largest linearly interpolated indicator.

    nnU-Net takes the last class that reaches 0.5, and background where none does. The result here is the same
    wherever a class reaches 0.5, and has no holes where three classes meet.

    Args:
        array: class indices (z, y, x).
        spacing: spacing (z, y, x) of the present grid in mm. The two spacings decide only whether an axis
            is treated separately.
        new_shape: shape (z, y, x) of the new grid in voxels.
        new_spacing: spacing (z, y, x) of the new grid in mm.

    Returns:
        Class indices of shape `new_shape`, uint8; `array` itself if the shape stays the same.
    """
    if array.shape == tuple(new_shape):
        return array
    z, y, x = array.shape
    axes = interpolations((z, y, x), spacing, new_shape, new_spacing, order=1)
    out = np.zeros(new_shape, dtype=np.uint8)
    for planes in slabs(axes):
        _resample_label_slab(array, axes, planes, out)
    return out


def interpolations(shape: Shape, spacing: Spacing, new_shape: Shape, new_spacing: Spacing, *, order: Order) -> Axes:
    """Interpolation along each axis (z, y, x), of `order`, or of order 0 along an axis that is treated separately."""
    separate = separate_axis(spacing, new_spacing)
    z, y, x = (
        interpolation(int(shape[axis]), int(new_shape[axis]), 0 if axis == separate else order) for axis in range(3)
    )
    return z, y, x


def separate_axis(spacing: Spacing, new_spacing: Spacing) -> int | None:
    """Axis that is treated separately: the coarsest of the present grid if anisotropic, or else of the new grid.

    None where neither grid is anisotropic, or where two axes share the coarsest spacing.
    """
    for grid in (spacing, new_spacing):
        if max(grid) / min(grid) > ANISOTROPIC:
            coarsest = [axis for axis in range(3) if max(grid) / grid[axis] == 1]
            return coarsest[0] if len(coarsest) == 1 else None
    return None


def slabs(axes: Axes) -> Iterator[slice]:
    """Yield ranges of output planes along z whose float32 input and output planes fit into `SLAB_BYTES`."""
    _, y, x = axes
    plane = 4 * max(y.inputs, y.outputs) * max(x.inputs, x.outputs)
    thickness = max(1, int(SLAB_BYTES // plane * min(1.0, axes[0].outputs / axes[0].inputs)))
    for start in range(0, axes[0].outputs, thickness):
        yield slice(start, min(start + thickness, axes[0].outputs))


def resample_box(array: NDArray, axes: Axes, box: Box) -> NDArray[np.float32]:
    """Compute a part of a resampled volume, as float32.

    Args:
        array: whole input volume (z, y, x), of any dtype.
        axes: interpolation along each axis (z, y, x).
        box: ranges (z, y, x) of the output voxels to compute.
    """
    needed = tuple(axis.needed(part) for axis, part in zip(axes, box, strict=True))
    held = np.ascontiguousarray(array[needed], dtype=np.float32)
    return _apply(held, axes, (needed[0].start, needed[1].start, needed[2].start), box)


def _apply(held: NDArray[np.float32], axes: Axes, start: Shape, box: Box) -> NDArray[np.float32]:
    """Interpolate a part of the input, which begins at `start`, along each axis; shrinking axes first to save work."""
    growth = [(part.stop - part.start) / n for part, n in zip(box, held.shape, strict=True)]
    for axis in sorted(range(3), key=lambda a: growth[a]):
        held = axes[axis].apply(held, axis, start[axis], box[axis])
    return held


def _resample_label_slab(array: NDArray[np.uint8], axes: Axes, planes: slice, out: NDArray[np.uint8]) -> None:
    """Fill `planes` of `out` class by class; each class is interpolated only inside its own bounding box."""
    needed = axes[0].needed(planes)
    source = array[needed]
    present = np.flatnonzero(np.bincount(source.ravel(), minlength=1))
    if present.size == 1:
        out[planes] = present[0]
        return
    best = np.zeros((planes.stop - planes.start, *out.shape[1:]), dtype=np.float32)
    for index in present:
        indicator = source == index
        rows = _span(indicator.any(axis=(0, 2)))
        columns = _span(indicator[:, rows].any(axis=(0, 1)))
        box = (planes, axes[1].touched(rows), axes[2].touched(columns))
        held = indicator[:, rows, columns].astype(np.float32)
        share = _apply(held, axes, (needed.start, rows.start, columns.start), box)
        best_here, out_here = best[:, box[1], box[2]], out[box]
        # of two equal classes the later one wins, as in nnU-Net's rule; a class with a share of 0 never does
        wins = (share >= best_here) & (share > 0)
        np.copyto(best_here, share, where=wins)
        np.copyto(out_here, np.uint8(index), where=wins)


def _span(touched: NDArray[np.bool_]) -> slice:
    """Smallest range that holds every true entry; at least one entry must be true."""
    indices = np.flatnonzero(touched)
    return slice(int(indices[0]), int(indices[-1]) + 1)
