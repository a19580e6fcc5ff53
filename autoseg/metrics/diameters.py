"""Largest diameters of a connected component: in space, and within an axial slice.

Both are distances between two points of the component's surface, as a person measures them with a ruler from edge to
edge. The points are the centres of the faces of its voxels, which are the vertices of the surface mesh at half height
(marching cubes; `Maximum3DDiameter` of PyRadiomics, van Griethuysen et al., Cancer Res 2017). The one in space is the
maximum Feret diameter; the axial one is the longest diameter in any one slice, as RECIST 1.1 measures a lesion
(Eisenhauer et al., Eur J Cancer 2009). A row of n voxels is n voxels long, one voxel alone has its own longest edge.

The farthest two points of a set are corners of its convex hull. So the hull of each slice is taken first, and then that
of these corners; both are exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist

from autoseg.image.geometry import Spacing

_FEW_POINTS = 64
"""So many points are compared directly sooner than their hull is found."""

_SMALL, _MOST_KNOWN = 1024, 20_000
"""Voxels in the box of a shape that is kept, and so many are kept: 3 MB of bits."""

_BLOCK = 2048
"""Points whose distances to all others are in memory at once."""


@dataclass(frozen=True)
class Diameters:
    """Largest diameters of a component.

    Args:
        largest_mm: largest distance of two points of its surface.
        axial_mm: largest distance of two points of its surface that lie in one axial slice.
    """

    largest_mm: float
    axial_mm: float


@dataclass
class DiametersByShape:
    """Measures many components, each small shape once; a poor prediction has thousands of specks of few shapes.

    Args:
        spacing: spacing (z, y, x) in mm.
        axial: axis across the axial slices (0 = z, 1 = y, 2 = x).
        flat_axis: axis along which the whole image has one slice; None = there is none.
        known: what was measured, by the shape and the bits of a mask.
    """

    spacing: Spacing
    axial: int = 0
    flat_axis: int | None = None
    known: dict[tuple[tuple[int, ...], bytes], Diameters] = field(default_factory=dict)

    def of(self, mask: NDArray[np.bool_]) -> Diameters:
        """Diameters of a component, from its mask (z, y, x) cut to its box."""
        if mask.size > _SMALL:
            return diameters(mask, self.spacing, self.axial, self.flat_axis)
        shape = mask.shape, np.packbits(mask).tobytes()
        found = self.known.get(shape)
        if found is None:
            found = diameters(mask, self.spacing, self.axial, self.flat_axis)
            if len(self.known) < _MOST_KNOWN:
                self.known[shape] = found
        return found


def diameters(mask: NDArray[np.bool_], spacing: Spacing, axial: int = 0, flat_axis: int | None = None) -> Diameters:
    """Measure the diameters of a component.

    In an image of one slice both are measured in its plane: its thickness is no length of what it shows.

    Args:
        mask: voxels (z, y, x) of the component, at least one of them set; cut to its box, to save time.
        spacing: spacing (z, y, x) in mm.
        axial: axis across the axial slices (0 = z, 1 = y, 2 = x).
        flat_axis: axis along which the whole image has a single voxel; None = it is a volume.

    Examples:
        Three voxels in a row, of 2 mm each, in one slice of 1 mm.

        >>> import numpy as np
        >>> diameters(np.ones((1, 1, 3), bool), (1.0, 1.0, 2.0))
        Diameters(largest_mm=6.0, axial_mm=6.0)
    """
    if flat_axis is not None:
        in_plane = diameters(mask, spacing, flat_axis).axial_mm
        axial_mm = in_plane if axial == flat_axis else _longest_row(mask, spacing, axial, flat_axis)
        return Diameters(in_plane, axial_mm)
    mask = np.moveaxis(mask, axial, 0)
    mm = np.array([spacing[axial], *(spacing[axis] for axis in range(3) if axis != axial)])
    step = np.array([mm[0] / 2, 0.0, 0.0])
    points, longest = [], 0.0
    for index in np.flatnonzero(mask.any(axis=(1, 2))):
        centres = _corners(_ends_of_rows(mask[index]) * mm[1:])
        faces = _corners(_faces(centres, mm[1:]))
        longest = max(longest, _farthest(faces))
        inside, across = (np.insert(of_plane, 0, index * mm[0], axis=1) for of_plane in (faces, centres))
        points += [inside, across - step, across + step]
    return Diameters(_farthest(_corners(np.concatenate(points))), longest)


def _longest_row(mask: NDArray[np.bool_], spacing: Spacing, axial: int, flat_axis: int) -> float:
    """Largest length in mm within an axial slice of an image of one slice, of which it is a row.

    Args:
        mask: voxels (z, y, x) of the component.
        spacing: spacing (z, y, x) in mm.
        axial: axis across the axial slices.
        flat_axis: another axis, across the image's only slice.
    """
    (plane,) = np.moveaxis(mask, (flat_axis, axial), (0, 1))
    first, last = _ends_of_rows(plane)[:, 1].reshape(2, -1)
    # of the axes 0, 1 and 2, the third one
    return float((last - first + 1).max() * spacing[3 - flat_axis - axial])


def _ends_of_rows(plane: NDArray[np.bool_]) -> NDArray[np.intp]:
    """First and last voxel (n, 2) of each row of a mask (row, column): no other voxel is a corner of the hull."""
    rows = np.flatnonzero(plane.any(axis=1))
    first = plane[rows].argmax(axis=1)
    last = plane.shape[1] - 1 - plane[rows, ::-1].argmax(axis=1)
    return np.column_stack([np.concatenate([rows, rows]), np.concatenate([first, last])])


def _faces(centres: NDArray[np.float64], mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centres of the faces of voxels, from the voxels' centres (n, axis) in mm and their edges (axis,)."""
    steps = np.concatenate([np.diag(mm / 2), -np.diag(mm / 2)])
    return (centres[:, None] + steps).reshape(-1, centres.shape[1])


def _corners(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points that are corners of the convex hull; all of them where they are few, or lie in a line or a plane."""
    if len(points) <= _FEW_POINTS or np.linalg.matrix_rank(points - points[0]) < points.shape[1]:
        return points
    return np.asarray(points[ConvexHull(points).vertices])


def _farthest(points: NDArray[np.float64]) -> float:
    """Largest distance between any two points."""
    blocks = range(0, len(points), _BLOCK)
    return max(float(cdist(points[i : i + _BLOCK], points[i:]).max()) for i in blocks)
