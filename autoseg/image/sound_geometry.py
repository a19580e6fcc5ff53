"""Refuses a voxel grid that no scanner makes, or whose axes do not stand at right angles, in every format alike."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import numpy as np

from autoseg.errors import ImageError
from autoseg.image.geometry import Geometry, corner_voxels

LEAST_SPACING_MM = 1e-6
LARGEST_SPACING_MM = 200.0
"""Voxels of scanners are far smaller, also those of scouts; a larger number has another unit, or is damaged."""

LARGEST_EXTENT_MM = 10_000.0
"""The longest scans are of two metres."""

_FARTHEST_ORIGIN_MM = 1e9
# a direction in single precision is off by 1e-7, one that was rounded to few digits by 1e-3
_LENGTH_TOLERANCE = 0.02
_LEAST_DETERMINANT = 1e-3
MOST_SHEARED_VOXELS = 0.5
"""Corners may lie so far, in voxels, from those of the nearest grid with right angles."""

# a degree, for images of few voxels
_MOST_SHEARED_COSINE = 0.0175


def require_sound(path: Path, geometry: Geometry) -> None:
    """Refuse an image whose voxels have no definite place, or one that no scanner makes.

    Args:
        path: path of the image, for the message.
        geometry: voxel grid as its header states it.

    Raises:
        ImageError: spacing, origin or direction are not finite, zero, or far beyond all images; or the axes are
            sheared.
    """
    spacing = np.array(geometry.spacing)
    stated = f"a spacing of {_times(geometry.spacing)} mm (x, y, z)"
    if not (spacing >= LEAST_SPACING_MM).all() or not np.isfinite(spacing).all():
        _refuse(path, stated, "export the image again")
    extent = spacing * geometry.shape
    if not (spacing <= LARGEST_SPACING_MM).all():
        _refuse(path, stated, f"no scanner makes voxels of more than {LARGEST_SPACING_MM:g} mm; {_UNIT_CURE}")
    if not (extent <= LARGEST_EXTENT_MM).all():
        _refuse(path, f"{stated} and an extent of {_times(extent)} mm", f"no scan is that large; {_UNIT_CURE}")
    if not all(abs(place) <= _FARTHEST_ORIGIN_MM for place in geometry.origin):
        _refuse(
            path, f"its first voxel at {', '.join(f'{place:g}' for place in geometry.origin)} mm", "export it again"
        )
    directions = np.asarray(geometry.direction)
    lengths = np.linalg.norm(directions, axis=1)
    regular = np.isfinite(directions).all() and abs(np.linalg.det(directions)) >= _LEAST_DETERMINANT
    if not (regular and (np.abs(lengths - 1) <= _LENGTH_TOLERANCE).all()):
        rows = "; ".join(" ".join(f"{number:g}" for number in row) for row in geometry.direction[::-1])
        _refuse(path, f"axes along ({rows}), which are not three directions of length 1", "export the image again")
    _require_right_angles(path, geometry)


def _require_right_angles(path: Path, geometry: Geometry) -> None:
    directions = np.asarray(geometry.direction) / np.linalg.norm(geometry.direction, axis=1)[:, None]
    left, _, right = np.linalg.svd(directions)
    middle = (np.array(geometry.shape) - 1) / 2
    moved = (corner_voxels(geometry.shape) - middle) * geometry.spacing @ (directions - left @ right)
    in_voxels = float(np.abs(moved @ np.linalg.inv(geometry.axes())).max())
    cosines = np.clip(directions @ directions.T, -1, 1)
    if in_voxels <= MOST_SHEARED_VOXELS and np.abs(cosines - np.eye(3)).max() <= _MOST_SHEARED_COSINE:
        return
    angle = max((float(np.degrees(np.arccos(cosines[a, b]))) for a, b in ((0, 1), (0, 2), (1, 2))), key=_from_right)
    raise ImageError(
        f"{path}: its axes are sheared: two of them stand at {angle:.4g}° instead of 90°, so that its corners lie up "
        f"to {float(np.linalg.norm(moved, axis=1).max()):.3g} mm from those of a straight grid; resample the image "
        "onto one, together with its label map"
    )


_UNIT_CURE = "correct the header, or its unit"


def _from_right(angle: float) -> float:
    return abs(angle - 90)


def _times(numbers: object) -> str:
    """Numbers of the axes (z, y, x) as a text (x × y × z)."""
    return " × ".join(f"{number:g}" for number in np.asarray(numbers, dtype=float)[::-1])


def _refuse(path: Path, what: str, cure: str) -> NoReturn:
    raise ImageError(f"{path}: its header is wrong, it declares {what}; {cure}")
