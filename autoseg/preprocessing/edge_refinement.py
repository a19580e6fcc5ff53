"""Refines a rigid transform between two images on their edges.

Mutual information finds the way, but where two contrasts show a structure at unlike widths its optimum lies beside the
true place. The directions of edges do not depend on contrast (normalised gradient fields: Haber and Modersitzki, MICCAI
2006, LNCS 4191:726-733).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from autoseg.image.geometry import Spacing
from autoseg.preprocessing.edges import averaged, block, edge_directions

Rigid = tuple[float, float, float, float, float, float]
"""Translation (z, y, x) in mm, then rotation vector (z, y, x) in degrees, about the centre of the image."""

_EDGES = 6_000
_SEED = 0
# first step in mm and in degrees, and number of evaluations: from every start, and then from the best place
_WIDE, _NARROW = (3.0, 120), (0.75, 250)

UNMOVED: Rigid = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

MOST_VOXELS = 2**22
"""Images with more voxels than this are first averaged over blocks, so that memory is bounded."""


@dataclass(frozen=True)
class Refined:
    """A transform, and how the edges of two images correspond with it and without it.

    Args:
        rigid: transform from points of the first image to those of the second one.
        before: correlation of the edges without it, -1 to 1. The second image is interpolated here too, so that it is
            not the better for being sharper.
        after: the same with it.
    """

    rigid: Rigid
    before: float
    after: float


def refine(
    fixed: NDArray[np.float32], moving: NDArray[np.float32], spacing: Spacing, starts: Sequence[Rigid]
) -> Refined:
    """Search near several transforms for the one at which the edges of two images agree best.

    Args:
        fixed: image (z, y, x).
        moving: image (z, y, x) on the same grid.
        spacing: spacing (z, y, x) in mm.
        starts: transforms from points of `fixed` to those of `moving` to begin at.

    Returns:
        The transform; none where the first image has no edges.
    """
    factors = block(fixed.shape, spacing, MOST_VOXELS)
    coarse = (spacing[0] * factors[0], spacing[1] * factors[1], spacing[2] * factors[2])
    # of the first block, in mm from the centre of the image
    origin = 0.5 * (np.asarray(coarse) - spacing) - 0.5 * (np.asarray(fixed.shape) - 1) * spacing
    fixed, moving = (averaged(image, factors) for image in (fixed, moving))
    directions, moved = _directions(fixed, coarse), _directions(moving, coarse)
    strongest = _strongest(directions)
    if len(strongest) == 0:
        return Refined(UNMOVED, 0.0, 0.0)
    # between voxels: at voxels themselves an image that is not moved is not interpolated, and would always fit best
    points = strongest + np.random.default_rng(_SEED).uniform(-0.5, 0.5, strongest.shape)
    here = points * coarse + origin
    mine = _interpolated(directions, points)
    own = np.square(mine).sum(axis=0)

    def disagreement(parameters: NDArray[np.float64]) -> float:
        turn = _rotation(parameters[3:])
        there = (turn.apply(here) + parameters[:3] - origin) / coarse
        found = _interpolated(moved, there)
        # the direction in `moving`, turned back into that of `fixed`
        back = turn.inv().apply(found.T).T
        theirs = np.square(back).sum(axis=0)
        # product of the traceless tensors of both directions, of which each with itself gives two thirds
        alike = float((np.square((mine * back).sum(axis=0)) - own * theirs / 3).sum())
        size = 2 / 3 * math.sqrt(float(np.square(own).sum()) * float(np.square(theirs).sum()))
        return -alike / size if size > 0 else 0.0

    found = [_search(disagreement, np.asarray(start), *_WIDE) for start in starts]
    best = _search(disagreement, min(found, key=disagreement), *_NARROW)
    z, y, x, a, b, c = (float(value) for value in best)
    return Refined((z, y, x, a, b, c), -disagreement(np.zeros(6)), -disagreement(best))


def _interpolated(vectors: NDArray[np.float32], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors (3, n) at points (n, 3) in voxels; 0 outside."""
    found = [ndimage.map_coordinates(one, points.T, np.float64, order=1, prefilter=False) for one in vectors]
    return np.stack(found)


def _search(
    disagreement: Callable[[NDArray[np.float64]], float], start: NDArray[np.float64], step: float, evaluations: int
) -> NDArray[np.float64]:
    """Search from a start, first in steps of so many mm and degrees."""
    simplex = np.vstack([start, start + step * np.eye(6)])
    options: Any = {"initial_simplex": simplex, "maxfev": evaluations, "xatol": 0.02, "fatol": 1e-6}
    found = optimize.minimize(disagreement, start, method="Nelder-Mead", options=options)
    return np.asarray(found.x)


def _rotation(degrees: NDArray[np.float64]) -> Rotation:
    """Rotation of vectors (z, y, x) by a rotation vector (z, y, x); both systems are right-handed when reversed."""
    # (z, y, x) is a left-handed order of (x, y, z), so that the sense turns round
    return Rotation.from_rotvec(-np.radians(degrees))


def matrix_of(degrees: ArrayLike) -> NDArray[np.float64]:
    """Matrix (x, y, z) of a rotation vector (z, y, x) in degrees."""
    vector = np.asarray(degrees)[::-1]
    return Rotation.from_rotvec(np.radians(vector)).as_matrix()


def _directions(image: NDArray[np.float32], spacing: Spacing) -> NDArray[np.float32]:
    """Directions (3, z, y, x) of the edges; 0 everywhere where there are none."""
    found = edge_directions(image, spacing)
    return np.zeros((3, *image.shape), np.float32) if found is None else found[0]


def _strongest(directions: NDArray[np.float32]) -> NDArray[np.intp]:
    """Indices (n, 3) of voxels at edges, at most `_EDGES`, spread evenly over the image."""
    points = np.argwhere(np.square(directions).sum(axis=0) > 0.5)
    return points[:: max(1, -(-len(points) // _EDGES))]
