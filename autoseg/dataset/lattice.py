"""Brings label maps that are cropped to what they show onto the lattice of their image; nothing is resampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import ImageError
from autoseg.image.geometry import NEAR_VOXELS, Corners, Geometry, Spacing, overlap, slices_of, to_canonical
from autoseg.image.image import Image

_SAME_SPACING = 1e-3
# more than two crops of one image take together
_MOST_VOXELS = 2**29


def padded_onto_one(label: Image, target: Geometry, others: Sequence[Geometry]) -> tuple[Image, float]:
    """Put a cropped label map into the grid of its image, of which there may be several.

    Args:
        label: label map (1, z, y, x).
        target: grid of the image.
        others: grids by which other programs place the voxels of `target`.

    Returns:
        The label map on `target`, and the largest distance of its voxels from those of `target`, in voxels.

    Raises:
        ImageError: in the cases of `padded_onto`, or the label map fits several grids at different voxels.
    """
    fitting: list[tuple[Image, float]] = []
    problem: ImageError | None = None
    for grid in (target, *others):
        try:
            fitting.append(padded_onto(label, grid))
        except ImageError as error:
            problem = problem or error
    if not fitting:
        raise problem or ImageError("is not on the voxels of its image")
    first = fitting[0]
    if any(not np.array_equal(first[0].array, other.array) for other, _ in fitting[1:]):
        raise ImageError(
            "fits its image at two places, since the image's header has two transforms; make both the same (in nibabel "
            "`image.set_qform(image.affine)`), or save the segmentation as a label map with the image as reference"
        )
    return replace(first[0], geometry=target), first[1]


def padded_onto(label: Image, target: Geometry) -> tuple[Image, float]:
    """Put a cropped label map into the grid of its image, with background (0) around it.

    Axes may be flipped or permuted. Where the label's grid reaches beyond the image, there must be background.

    Args:
        label: label map (1, z, y, x).
        target: grid of the image.

    Returns:
        The label map on `target` with all that was told of it, and the largest distance of its voxels from those of
        `target`, in voxels.

    Raises:
        ImageError: the label's voxels are not those of the image, or classes lie beyond the image; the sentence begins
            after the name of the file.
    """
    theirs, ours = to_canonical(label.geometry), to_canonical(target)
    geometry, canvas = theirs.apply_to_geometry(label.geometry), ours.apply_to_geometry(target)
    start, off = _start(geometry, canvas)
    if off > NEAR_VOXELS:
        raise ImageError(
            f"is not on the voxels of its image: {_how_apart(geometry, canvas, off)}; export it as a label map with "
            "the image as reference (in 3D Slicer: module Segmentations, Export to files), or resample it (nearest "
            "neighbour)"
        )
    turned = theirs.apply(label.array[0])
    inside: Corners = _box(start, geometry)
    shared = overlap(inside, _box(np.zeros(3, int), canvas))
    out = np.zeros(canvas.shape, label.array.dtype)
    if shared is not None:
        lower = np.array(shared)
        out[slices_of(shared)] = turned[slices_of(_corners(lower - start))]
    if lost := int(np.count_nonzero(turned)) - int(np.count_nonzero(out)):
        raise ImageError(
            f"has {lost} voxels of its classes beyond the image; is it the segmentation of this image? If it is, crop "
            "it to the image (in 3D Slicer: Segment Editor, with the image as source volume), and save it again"
        )
    array = np.ascontiguousarray(ours.undo(out))[None]
    return replace(label, array=array, geometry=target, cropped=False, others=(), nifti=None), off


def on_one_lattice(first: Image, second: Image) -> tuple[Image, Image, float]:
    """Bring two label maps onto one grid, where they differ because one or both are cropped.

    Returns:
        Both label maps, and the largest distance of their voxels from each other, in voxels.

    Raises:
        ImageError: in the cases of `padded_onto`.
    """
    if first.cropped and second.cropped:
        box = _union(first.geometry, second.geometry)
        # the box lies on the voxels of the first one
        placed, off = padded_onto(second, box)
        return padded_onto(first, box)[0], placed, off
    if first.cropped:
        placed, off = padded_onto(first, second.geometry)
        return placed, second, off
    if second.cropped:
        placed, off = padded_onto(second, first.geometry)
        return first, placed, off
    return first, second, 0.0


def _union(first: Geometry, second: Geometry) -> Geometry:
    """The grid of `first`, in canonical orientation, extended so that it holds `second` too."""
    first, second = (to_canonical(grid).apply_to_geometry(grid) for grid in (first, second))
    start, _ = _start(second, first)
    lower = np.minimum(0, start)
    upper = np.maximum(first.shape, start + second.shape)
    depth, height, width = (int(n) for n in upper - lower)
    if depth * height * width > _MOST_VOXELS:
        raise ImageError(f"lies {start.tolist()} voxels (z, y, x) from the other; are both of one image?")
    x, y, z = (float(number) for number in first.to_world(lower))
    return Geometry((depth, height, width), first.spacing, (x, y, z), first.direction)


def _start(geometry: Geometry, canvas: Geometry) -> tuple[NDArray[np.int64], float]:
    """Place (z, y, x) of a grid's first voxel in another, and the largest distance of corresponding corners, in voxels.

    Both are in canonical orientation.
    """
    start = np.rint(canvas.to_index(np.asarray(geometry.origin))).astype(np.int64)
    corners = np.array(list(product(*((0, n - 1) for n in geometry.shape))), dtype=float)
    return start, float(np.abs(canvas.to_index(geometry.to_world(corners)) - corners - start).max())


def _box(start: NDArray[np.int64], geometry: Geometry) -> Corners:
    return _corners(np.array([start, start + geometry.shape]))


def _corners(box: NDArray[np.int64]) -> Corners:
    (a, b, c), (d, e, f) = box.tolist()
    return (a, b, c), (d, e, f)


def _how_apart(geometry: Geometry, canvas: Geometry, off: float) -> str:
    if not np.allclose(geometry.spacing, canvas.spacing, rtol=_SAME_SPACING):
        return f"voxels of {_millimetres(geometry.spacing)} against {_millimetres(canvas.spacing)} mm (z, y, x in LPS)"
    if not np.allclose(geometry.direction, canvas.direction, atol=_SAME_SPACING):
        return f"its axes point in other directions, so that voxels lie up to {off:.3g} voxels beside the image's"
    return f"its voxels lie up to {off:.3g} voxels beside the image's"


def _millimetres(spacing: Spacing) -> str:
    return " × ".join(f"{number:.4g}" for number in spacing)
