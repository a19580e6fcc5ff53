"""The place of a voxel array in the patient: spacing, origin, directions and axis orientation.

Array axes are (z, y, x) throughout; spacing is in mm in that order. World coordinates are LPS
(x to the patient's left, y to posterior, z to superior), as ITK and DICOM have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int]
Spacing = tuple[float, float, float]
Corners = tuple[Shape, Shape]
"""Box in voxels as (lower, upper), each (z, y, x), upper end excluded."""

STRAIGHT = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
"""Directions of array axes (z, y, x) that grow to superior, posterior and left."""

ROUNDING_VOXELS = 1e-3
"""A smaller difference between two grids, as a fraction of a voxel, is rounding: NIfTI stores single precision."""

NEAR_VOXELS = 0.05
"""Two grids with a smaller difference are taken as one grid; what is more than rounding is told."""


@dataclass(frozen=True)
class Geometry:
    """Voxel grid of a 3D image.

    Args:
        shape: number of voxels along the array axes (z, y, x).
        spacing: distance in mm between voxel centres along the array axes (z, y, x).
        origin: LPS world position (x, y, z) in mm of the voxel (0, 0, 0).
        direction: 3 rows; row `a` is the LPS unit vector (x, y, z) along which array axis `a` grows.

    Examples:
        Sagittal slices, 4 mm apart. The array axes grow to left, inferior and posterior.

        >>> import numpy as np
        >>> sagittal = Geometry(
        ...     shape=(9, 64, 48),
        ...     spacing=(4.0, 1.0, 1.0),
        ...     origin=(-16.0, -24.0, 32.0),
        ...     direction=((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
        ... )
        >>> sagittal.orientation()
        'LIP'

        The next slice lies 4 mm further to the left, and the next row 1 mm further down.

        >>> sagittal.to_world(np.array([1, 0, 0]))
        array([-12., -24.,  32.])
        >>> sagittal.to_world(np.array([0, 1, 0]))
        array([-16., -24.,  31.])
        >>> sagittal.to_index(np.array([-12.0, -24.0, 31.0]))
        array([1., 1., 0.])
    """

    shape: Shape
    spacing: Spacing
    origin: tuple[float, float, float]
    direction: tuple[tuple[float, float, float], ...]

    def axes(self) -> NDArray[np.float64]:
        """Return a (3, 3) matrix whose row `a` is the step (x, y, z) in mm of one voxel along array axis `a`."""
        return np.asarray(self.direction) * np.asarray(self.spacing)[:, None]

    def to_world(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert array indices (..., 3), as (z, y, x), to LPS world positions (..., 3), as (x, y, z) in mm."""
        return np.asarray(index, dtype=float) @ self.axes() + np.asarray(self.origin)

    def to_index(self, world: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert LPS world positions (..., 3), as (x, y, z) in mm, to array indices (..., 3), as (z, y, x)."""
        return (np.asarray(world, dtype=float) - np.asarray(self.origin)) @ np.linalg.inv(self.axes())

    def largest_offset(self, other: Geometry) -> float:
        """Return the largest offset between corresponding corner voxels of two grids along any axis, in voxels.

        The voxels are those of `self`. The offset is infinite where the shapes differ.
        """
        if self.shape != other.shape:
            return float("inf")
        corners = corner_voxels(self.shape)
        moved = self.to_index(other.to_world(corners))
        return float(np.abs(moved - corners).max())

    def orientation(self) -> str:
        """Return the letters of the anatomical directions in which the array axes (z, y, x) grow, such as `SPL`."""
        letters = (("R", "L"), ("A", "P"), ("I", "S"))
        world = closest_world_axes(self)
        return "".join(letters[axis][self.direction[a][axis] > 0] for a, axis in enumerate(world))


def flat_axis(shape: Sequence[int]) -> int | None:
    """Axis (0 = z, 1 = y, 2 = x) along which an image has a single voxel; None for a volume, one line or one voxel.

    Args:
        shape: number of voxels along the axes (z, y, x) of the whole image, not of a box in it.

    Examples:
        >>> flat_axis((1, 40, 50)), flat_axis((40, 50, 1)), flat_axis((9, 40, 50)), flat_axis((1, 1, 50))
        (0, 2, None, None)
    """
    return shape.index(1) if shape.count(1) == 1 else None


def corner_voxels(shape: Shape) -> NDArray[np.float64]:
    """Return the indices (8, 3) of the corner voxels of a grid, as (z, y, x)."""
    return np.array(np.meshgrid(*[(0.0, n - 1.0) for n in shape], indexing="ij")).reshape(3, -1).T


def farthest_apart(a: Geometry, b: Geometry) -> float:
    """Return the largest distance in mm between corresponding corner voxels of two grids of one shape."""
    corners = corner_voxels(a.shape)
    return float(np.linalg.norm(a.to_world(corners) - b.to_world(corners), axis=1).max())


def closest_world_axes(geometry: Geometry) -> tuple[int, int, int]:
    """Return for each array axis the world axis (0 = x, 1 = y, 2 = z) that it is closest to; each is used once.

    It is the assignment with the largest sum of cosines, so that oblique images have a definite result too.
    """
    cosines = np.abs(np.asarray(geometry.direction))
    best = max(permutations(range(3)), key=lambda p: sum(cosines[a, p[a]] for a in range(3)))
    return best[0], best[1], best[2]


@dataclass(frozen=True)
class Reorientation:
    """A permutation of array axes, followed by flips; nothing is resampled.

    Args:
        permutation: new axis `a` is old axis `permutation[a]`.
        flips: for each new axis, whether it runs in the opposite direction of its old axis.
    """

    permutation: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @property
    def is_identity(self) -> bool:
        """Whether the reorientation changes nothing."""
        return self.permutation == (0, 1, 2) and not any(self.flips)

    def apply(self, array: NDArray) -> NDArray:
        """Reorient the last three axes of `array` (…, z, y, x) and return a view of it."""
        lead = array.ndim - 3
        array = array.transpose(*range(lead), *(lead + p for p in self.permutation))
        return array[(Ellipsis, *(slice(None, None, -1) if f else slice(None) for f in self.flips))]

    def undo(self, array: NDArray) -> NDArray:
        """Undo `apply` on the last three axes of `array` and return a view of it."""
        lead = array.ndim - 3
        array = array[(Ellipsis, *(slice(None, None, -1) if f else slice(None) for f in self.flips))]
        return array.transpose(*range(lead), *(lead + int(p) for p in np.argsort(self.permutation)))

    def slice_before(self, axis: int, index: int, count: int) -> int:
        """Return the index that a slice had before `apply`, along its own old axis.

        Args:
            axis: new axis across the slice (0 = z, 1 = y, 2 = x).
            index: index of the slice along it, from 0.
            count: number of slices along it.
        """
        return count - 1 - index if self.flips[axis] else index

    def apply_to_geometry(self, geometry: Geometry) -> Geometry:
        """Return the geometry that an array has after `apply`.

        Args:
            geometry: geometry of the array before.
        """
        shape = [geometry.shape[p] for p in self.permutation]
        directions = [np.asarray(geometry.direction[p]) for p in self.permutation]
        spacing = [geometry.spacing[p] for p in self.permutation]
        origin = np.asarray(geometry.origin, dtype=float)
        for axis, flipped in enumerate(self.flips):
            if flipped:
                origin = origin + directions[axis] * spacing[axis] * (shape[axis] - 1)
                directions[axis] = -directions[axis]
        return Geometry(
            shape=(shape[0], shape[1], shape[2]),
            spacing=(spacing[0], spacing[1], spacing[2]),
            origin=(float(origin[0]), float(origin[1]), float(origin[2])),
            direction=tuple((float(d[0]), float(d[1]), float(d[2])) for d in directions),
        )


IDENTITY = Reorientation((0, 1, 2), (False, False, False))


def to_canonical(geometry: Geometry) -> Reorientation:
    """Return the reorientation that brings the array axes (z, y, x) closest to superior, posterior, left (LPS).

    Args:
        geometry: geometry of the image as it is stored.

    Examples:
        Sagittal slices become an array whose last axis counts them. No voxel changes its value, and `undo` gives
        the stored array back.

        >>> import numpy as np
        >>> directions = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
        >>> stored = Geometry((9, 64, 48), (4.0, 1.0, 1.0), (-16.0, -24.0, 32.0), directions)
        >>> turn = to_canonical(stored)
        >>> turn
        Reorientation(permutation=(1, 2, 0), flips=(True, False, False))
        >>> canonical = turn.apply_to_geometry(stored)
        >>> canonical.orientation(), canonical.shape, canonical.spacing
        ('SPL', (64, 48, 9), (1.0, 1.0, 4.0))
        >>> array = np.arange(9 * 64 * 48).reshape(stored.shape)
        >>> turn.apply(array).shape
        (64, 48, 9)
        >>> np.array_equal(turn.undo(turn.apply(array)), array)
        True
    """
    world = closest_world_axes(geometry)
    permutation = (world.index(2), world.index(1), world.index(0))
    flips = tuple(geometry.direction[p][axis] < 0 for p, axis in zip(permutation, (2, 1, 0), strict=True))
    return Reorientation(permutation, (bool(flips[0]), bool(flips[1]), bool(flips[2])))


def slices_of(box: Corners) -> tuple[slice, slice, slice]:
    """Slices (z, y, x) that cut a box out of an array."""
    z, y, x = (slice(a, b) for a, b in zip(*box, strict=True))
    return z, y, x


def overlap(first: Corners, second: Corners) -> Corners | None:
    """The box that two boxes have in common; None where they have no voxel in common."""
    z0, y0, x0 = (max(a, b) for a, b in zip(first[0], second[0], strict=True))
    z1, y1, x1 = (min(a, b) for a, b in zip(first[1], second[1], strict=True))
    return ((z0, y0, x0), (z1, y1, x1)) if z0 < z1 and y0 < y1 and x0 < x1 else None
