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

_SEED = 0

TURN = 10.0
"""An image is turned by so many degrees further, to see whether its edges tell how it is turned."""

UNMOVED: Rigid = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Effort:
    """How much is computed in a search.

    Args:
        most_voxels: images with more voxels than this are first averaged over blocks.
        edges: at most so many points at edges are compared.
        wide: first step in mm and in degrees, and number of evaluations, of the search from every start.
        narrow: the same of the search from the best place that was found.
    """

    most_voxels: int
    edges: int
    wide: tuple[float, int]
    narrow: tuple[float, int]


THOROUGH = Effort(2**22, 6_000, (3.0, 120), (0.75, 250))
"""For moving an image; memory is bounded."""

QUICK = Effort(2**16, 1_000, (3.0, 100), (1.5, 100))
"""For measuring alone, in a fraction of the time that reading a case takes."""


@dataclass(frozen=True)
class Refined:
    """A transform, and how the edges of two images correspond with it and without it.

    Args:
        rigid: transform from points of the first image to those of the second one.
        before: correlation of the edges without it, -1 to 1. The second image is interpolated here too, so that it is
            not the better for being sharper.
        after: the same with it.
        weaker_half: the smaller of the correlations in both halves of the image, with it.
        by_chance: the correlation with it if the edges of each image were at unrelated places. Edges of thick slices
            lie mostly within the slices, in noise too, so that any two such images agree to some extent.
        turned_further: the largest correlation where the second image is turned further, by `TURN` about any axis.
            Where it is hardly smaller than `after`, edges do not tell how the image is turned, as those of a ball.
    """

    rigid: Rigid
    before: float
    after: float
    weaker_half: float
    by_chance: float
    turned_further: float

    @property
    def beyond_chance(self) -> float:
        """Correlation with the transform, on a scale on which chance is 0 and equal edges are 1."""
        return (self.after - self.by_chance) / (1 - self.by_chance)


def refine(
    fixed: NDArray[np.float32],
    moving: NDArray[np.float32],
    spacing: Spacing,
    starts: Sequence[Rigid],
    effort: Effort = THOROUGH,
) -> Refined:
    """Search near several transforms for the one at which the edges of two images agree best.

    Args:
        fixed: image (z, y, x).
        moving: image (z, y, x) on the same grid.
        spacing: spacing (z, y, x) in mm.
        starts: transforms from points of `fixed` to those of `moving` to begin at.
        effort: how much is computed.

    Returns:
        The transform; none where the first image has no edges.
    """
    factors = block(fixed.shape, spacing, effort.most_voxels)
    coarse = (spacing[0] * factors[0], spacing[1] * factors[1], spacing[2] * factors[2])
    # of the first block, in mm from the centre of the image
    origin = 0.5 * (np.asarray(coarse) - spacing) - 0.5 * (np.asarray(fixed.shape) - 1) * spacing
    fixed, moving = (averaged(image, factors) for image in (fixed, moving))
    directions, moved = _directions(fixed, coarse), _directions(moving, coarse)
    strongest = _strongest(directions, effort.edges)
    if len(strongest) == 0:
        return Refined(UNMOVED, 0.0, 0.0, 0.0, 0.0, 0.0)
    # between voxels: at voxels themselves an image that is not moved is not interpolated, and would always fit best
    points = strongest + np.random.default_rng(_SEED).uniform(-0.5, 0.5, strongest.shape)
    here = points * coarse + origin
    mine = _interpolated(directions, points)
    own = np.square(mine).sum(axis=0)
    longest = int(np.argmax(np.ptp(here, axis=0)))
    lower = here[:, longest] < np.median(here[:, longest])

    def theirs_at(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Directions (3, n) of `moving` where the points come to lie, turned back into those of `fixed`."""
        turn = _rotation(parameters[3:])
        there = (turn.apply(here) + parameters[:3] - origin) / coarse
        return turn.inv().apply(_interpolated(moved, there).T).T

    def agreement(parameters: NDArray[np.float64], among: NDArray[np.bool_] | slice = slice(None)) -> float:
        back = theirs_at(parameters)
        theirs = np.square(back).sum(axis=0)
        # product of the traceless tensors of both directions, of which each with itself gives two thirds
        alike = float((np.square((mine * back).sum(axis=0)) - own * theirs / 3)[among].sum())
        size = 2 / 3 * math.sqrt(float(np.square(own[among]).sum()) * float(np.square(theirs[among]).sum()))
        return alike / size if size > 0 else 0.0

    def disagreement(parameters: NDArray[np.float64]) -> float:
        return -agreement(parameters)

    found = [_search(disagreement, np.asarray(start), *effort.wide) for start in starts]
    best = _search(disagreement, min(found, key=disagreement), *effort.narrow)
    z, y, x, a, b, c = (float(value) for value in best)
    weaker_half = min(agreement(best, lower), agreement(best, ~lower))
    further = [best + sign * TURN * axis for axis in np.eye(6)[3:] for sign in (-1, 1)]
    return Refined(
        rigid=(z, y, x, a, b, c),
        before=agreement(np.zeros(6)),
        after=agreement(best),
        weaker_half=weaker_half,
        by_chance=_agreement_by_chance(mine, theirs_at(best)),
        turned_further=max(agreement(parameters) for parameters in further),
    )


def _agreement_by_chance(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Correlation of the tensors of two sets of directions (3, n) if each of one met any of the other, -1 to 1."""
    means, size = [], 2 / 3
    for directions in (mine, theirs):
        squares = np.square(directions).sum(axis=0)
        means.append(directions @ directions.T / len(squares) - squares.mean() / 3 * np.eye(3))
        size *= math.sqrt(float(np.square(squares).mean()))
    return float((means[0] * means[1]).sum()) / size if size > 0 else 0.0


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


def _strongest(directions: NDArray[np.float32], most: int) -> NDArray[np.intp]:
    """Indices (n, 3) of voxels at edges, at most so many, spread evenly over the image."""
    points = np.argwhere(np.square(directions).sum(axis=0) > 0.5)
    return points[:: max(1, -(-len(points) // most))]
