"""Compares the grids of a case's files: equal, equal in another axis order, overlapping, or apart."""

from __future__ import annotations

import numpy as np

from autoseg.image.geometry import Geometry, to_canonical
from autoseg.image.image import Image

# smaller differences, as a fraction of a voxel, are rounding: NIfTI stores single precision
TOLERANCE_VOXELS = 1e-3


def on_grid(image: Image, target: Geometry) -> Image | None:
    """Bring an image onto another grid by flips and a permutation of axes; None where that is impossible.

    Args:
        image: image with the axes (channel, z, y, x).
        target: grid to bring the image onto.
    """
    if target.largest_offset(image.geometry) <= TOLERANCE_VOXELS:
        return Image(image.array, target)
    if not same_voxels(image.geometry, target):
        return None
    theirs, ours = to_canonical(image.geometry), to_canonical(target)
    return Image(ours.undo(theirs.apply(image.array)), target)


def same_voxels(a: Geometry, b: Geometry) -> bool:
    """Whether two grids have the same voxels, possibly with flipped or permuted axes."""
    turned_a, turned_b = (to_canonical(grid).apply_to_geometry(grid) for grid in (a, b))
    return a.largest_offset(b) <= TOLERANCE_VOXELS or turned_b.largest_offset(turned_a) <= TOLERANCE_VOXELS


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
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in a.shape], indexing="ij")).reshape(3, -1).T
    apart = float(np.linalg.norm(a.to_world(corners) - b.to_world(corners), axis=1).max())
    text = f"corners up to {apart:.3g} mm ({a.largest_offset(b):.3g} voxels) apart"
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
