"""Compares the grids of a case's files: equal, equal in another axis order, side by side, overlapping, or apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoseg.image.flat.kind import has_no_place
from autoseg.image.geometry import NEAR_VOXELS, ROUNDING_VOXELS, Geometry, farthest_apart, to_canonical
from autoseg.image.image import Image


@dataclass(frozen=True)
class Placed:
    """Voxels that were brought onto another grid by flips and a permutation of axes.

    Args:
        array: (channel, z, y, x) along the axes of that grid.
        beside: text that says how far the grids lie apart; empty where that is rounding.
    """

    array: NDArray
    beside: str


def placed_on(image: Image, target: Geometry, others: Sequence[Geometry] = ()) -> Placed | None:
    """Bring an image onto a grid by flips and a permutation of axes; None where that is impossible.

    Args:
        image: image with the axes (channel, z, y, x).
        target: grid to bring the image onto.
        others: grids by which other programs place the voxels of `target`; an image that was made there with such a
            program lies on one of them.
    """
    if image.sized_by and has_no_place(target):
        # the pixels of a picture are known by row and column alone, whatever size its file states
        return Placed(image.array, "") if image.geometry.shape == target.shape else None
    # voxels that were stored in one order are the same ones, before any grid is turned to fit another
    for here, there in [(image.geometry, other) for other in others] + [(other, target) for other in image.others]:
        if target.largest_offset(image.geometry) > NEAR_VOXELS and there.largest_offset(here) <= NEAR_VOXELS:
            apart = farthest_apart(target, image.geometry)
            return Placed(image.array, f"{apart:.3g} mm apart, but the same voxels by the header's other transform")
    if (array := _turned_onto(image, target)) is not None:
        offset = _offset(image.geometry, target)
        return Placed(array, "" if offset <= ROUNDING_VOXELS else difference(image.geometry, target))
    by_the_other = [(image.geometry, other, target) for other in others]
    by_the_other += [(other, target, image.geometry) for other in image.others]
    for here, there, taken in by_the_other:
        if (array := _turned_onto(Image(image.array, here), there)) is not None:
            apart = farthest_apart(there if there is not target else here, taken)
            return Placed(array, f"{apart:.3g} mm apart, but the same voxels by the header's other transform")
    return None


def _turned_onto(image: Image, target: Geometry) -> NDArray | None:
    if not same_voxels(image.geometry, target):
        return None
    if target.largest_offset(image.geometry) <= NEAR_VOXELS:
        return image.array
    theirs, ours = to_canonical(image.geometry), to_canonical(target)
    return ours.undo(theirs.apply(image.array))


def same_voxels(a: Geometry, b: Geometry) -> bool:
    """Whether two grids have the same voxels to a twentieth of one, possibly with flipped or permuted axes."""
    return _offset(a, b) <= NEAR_VOXELS


def _offset(a: Geometry, b: Geometry) -> float:
    """Largest offset between corner voxels in voxels of `b`, as stored or with the axes turned."""
    turned_a, turned_b = (to_canonical(grid).apply_to_geometry(grid) for grid in (a, b))
    return min(b.largest_offset(a), turned_b.largest_offset(turned_a))


def overlap(a: Geometry, b: Geometry) -> bool:
    """Whether the boxes of two grids, with the full extent of their outer voxels, share a part of space.

    Two boxes are apart exactly if the normal of a face, or the cross product of two edges, separates
    them (separating axis theorem; Gottschalk et al., SIGGRAPH 1996).
    """
    edges_a, edges_b = np.asarray(a.direction), np.asarray(b.direction)
    crossed = np.cross(edges_a[:, None], edges_b[None]).reshape(-1, 3)
    axes = np.concatenate([edges_a, edges_b, crossed[np.linalg.norm(crossed, axis=1) > 1e-6]])
    on_axes_a, on_axes_b = _box_corners(a) @ axes.T, _box_corners(b) @ axes.T
    together = (on_axes_a.min(0) < on_axes_b.max(0)) & (on_axes_b.min(0) < on_axes_a.max(0))
    return bool(together.all())


def covered_share(target: Geometry, by: Geometry, points_per_axis: int = 24) -> float:
    """Fraction of the volume of `target` that lies inside `by`, estimated on a regular lattice of points."""
    steps = [(np.arange(points_per_axis) + 0.5) / points_per_axis * n - 0.5 for n in target.shape]
    lattice = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    index = by.to_index(target.to_world(lattice))
    inside = (index > -0.5) & (index < np.asarray(by.shape) - 0.5)
    return float(inside.all(axis=1).mean())


def difference(a: Geometry, b: Geometry) -> str:
    """Text that says how two grids differ: in shape, in spacing, or in the position of their corners."""
    if a.shape != b.shape and sorted(a.shape) != sorted(b.shape):
        return f"{_times(a.shape)} against {_times(b.shape)} voxels (z, y, x)"
    a, b = to_canonical(a).apply_to_geometry(a), to_canonical(b).apply_to_geometry(b)
    if a.shape != b.shape:
        return f"{_times(a.shape)} against {_times(b.shape)} voxels (z, y, x, both turned to LPS)"
    text = f"corners up to {farthest_apart(a, b):.3g} mm ({a.largest_offset(b):.3g} voxels) apart"
    if not np.allclose(a.spacing, b.spacing, rtol=1e-4):
        text += f"; spacing {_millimetres(a)} against {_millimetres(b)} mm (z, y, x)"
    return text


def _box_corners(geometry: Geometry) -> np.ndarray:
    """World positions (8, 3) of the corners of the grid's box, half a voxel beyond the outermost centres."""
    ends = [(-0.5, n - 0.5) for n in geometry.shape]
    return geometry.to_world(np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1).T)


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _millimetres(geometry: Geometry) -> str:
    return " × ".join(f"{s:.4g}" for s in geometry.spacing)
