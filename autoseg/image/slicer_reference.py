"""Reads for which image a segmentation of 3D Slicer was made: the grid that its header remembers.

The header names no patient and no image. What it has of the image is its grid, as `Reference image geometry` among the
parameters of conversion: the matrix from voxels (x, y, z) to the patient by rows, and the first and last voxel of each
axis. Slicer writes it where a segmentation has the geometry of a source volume, and in RAS.
"""

from __future__ import annotations

import re

import numpy as np
import SimpleITK as sitk

from autoseg.image.geometry import Geometry

_PARAMETERS = "Segmentation_ConversionParameters"
_REFERENCE = re.compile(r"(?:^|&)Reference image geometry\|([-+0-9.eE;]{1,1000})\|")
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
_LARGEST_SHAPE = 2**20


def grids_of_its_image(header: sitk.ImageFileReader) -> tuple[Geometry, ...]:
    """Return the grid of the image that a segmentation was made for; nothing where the header does not have it.

    Args:
        header: header of the file, from `image_header.read_header`.

    Returns:
        The grid read as RAS, and the same numbers read as LPS, since other programs that write such files may mean
        these.
    """
    if _PARAMETERS not in header.GetMetaDataKeys():
        return ()
    found = _REFERENCE.search(header.GetMetaData(_PARAMETERS))
    if found is None:
        return ()
    try:
        numbers = np.array([float(number) for number in found[1].rstrip(";").split(";")])
    except ValueError:
        return ()
    if len(numbers) != 22 or not np.isfinite(numbers).all() or np.abs(numbers).max() > _LARGEST_SHAPE:
        return ()
    matrix, first, last = numbers[:16].reshape(4, 4), numbers[16::2], numbers[17::2]
    # columns are the steps along x, y, z; array axes are (z, y, x)
    steps = matrix[:3, :3].T[::-1]
    spacing = np.linalg.norm(steps, axis=1)
    shape = (last - first + 1).astype(np.int64)[::-1]
    if (spacing <= 0).any() or (shape < 1).any():
        return ()
    origin = matrix[:3, 3] + matrix[:3, :3] @ first
    return tuple(_grid(turn, origin, steps / spacing[:, None], spacing, shape) for turn in (_RAS_TO_LPS, np.eye(3)))


def _grid(
    turn: np.ndarray, origin: np.ndarray, directions: np.ndarray, spacing: np.ndarray, shape: np.ndarray
) -> Geometry:
    z, y, x = (tuple(row) for row in (directions @ turn).tolist())
    nz, ny, nx = shape.tolist()
    sz, sy, sx = spacing.tolist()
    ox, oy, oz = (turn @ origin).tolist()
    return Geometry((nz, ny, nx), (sz, sy, sx), (ox, oy, oz), (z, y, x))
