"""Reads the image that a picture shows under the outlines: one slice, from an image file or a preprocessed case.

Slices are taken along canonical axes (z, y, x grow to superior, posterior, left). They lie on the grid of the label
map, whatever the image's own spacing is, so that outlines keep their full resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

from autoseg.image.flat.kind import has_no_place
from autoseg.image.geometry import Geometry, to_canonical
from autoseg.image.image import Image, read_image, resample_onto
from autoseg.run_folder.preprocessed_case import CaseRecord, open_case, require_intact_once

_SAME_GRID = 1e-3


@dataclass(frozen=True)
class Background:
    """Source of the image of a case.

    Args:
        read: function of the label map's stored geometry, a canonical axis (0 = z, 1 = y, 2 = x) and an index along
            that axis. It returns the slice (channel, row, column) on the label map's grid, NaN where the image is
            not known, and the names of the channels.
    """

    read: Callable[[Geometry, int, int], tuple[NDArray[np.float32], tuple[str, ...]]]


def from_file(path: Path) -> Background:
    """Background from an image file; the image is resampled where it is not on the label map's grid."""

    def read(geometry: Geometry, axis: int, index: int) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        image = on_grid(path, geometry)
        canonical = to_canonical(geometry).apply(image.array)
        plane = np.take(canonical, index, axis=axis + 1)
        count = plane.shape[0]
        names = ("image",) if count == 1 else tuple(f"channel {i}" for i in range(count))
        return np.array(plane, np.float32), names

    return Background(read)


def on_grid(path: Path, geometry: Geometry) -> Image:
    """Read an image file; the image (channel, z, y, x) is resampled where it is not on the grid."""
    image = read_image(path)
    # the pixels of a picture are known by row and column, whatever size the label map states
    same_pixels = bool(image.sized_by) and has_no_place(geometry) and image.geometry.shape == geometry.shape
    if same_pixels or image.geometry.largest_offset(geometry) <= _SAME_GRID:
        return image
    return resample_onto(image, geometry)


def from_preprocessed(folder: Path, record: CaseRecord, channels: tuple[str, ...]) -> Background:
    """Background from a preprocessed case, whose image is cropped to non-zero, resampled and normalised.

    Args:
        folder: folder of the preprocessed case; only one slice of its image is read.
        record: says how the image was preprocessed, so that the slice can be mapped back to the label map's grid.
        channels: names of all channels of the plan; channels that are absent from the case are left out.
    """
    present = [i for i, there in enumerate(record.present) if there]

    def read(geometry: Geometry, axis: int, index: int) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        turn = to_canonical(record.reoriented)
        along = turn.permutation[axis]
        length = record.reoriented.shape[along]
        place = (length - 1 - index if turn.flips[axis] else index) - record.crop_lower[along]
        share = (place + 0.5) / record.cropped_shape[along]
        position = int(np.clip(share * record.shape[along], 0, record.shape[along] - 1))
        where = [slice(None)] * 3
        where[along] = slice(position, position + 1)
        require_intact_once(folder)
        # only the chunks of this slice are decompressed
        thin = np.stack([open_case(folder).image[(i, *where)] for i in present])
        whole = _onto_whole(thin, record, along)
        return np.take(turn.apply(whole), 0, axis=axis + 1), tuple(channels[i] for i in present)

    return Background(read)


def _onto_whole(thin: NDArray[np.float32], record: CaseRecord, along: int) -> NDArray[np.float32]:
    """Resample a slice to the grid of the whole reoriented image; it stays one voxel thick along `along`.

    Args:
        thin: slice (channel, z, y, x) on the preprocessed grid, one voxel thick along `along`.
        record: says how the case was preprocessed.
        along: axis of the reoriented image across the slice (0 = z, 1 = y, 2 = x).
    """
    shape = list(record.reoriented.shape)
    cropped, lower = list(record.cropped_shape), list(record.crop_lower)
    shape[along] = cropped[along] = 1
    lower[along] = 0
    whole = np.full((thin.shape[0], *shape), np.nan, np.float32)
    box = tuple(slice(low, low + n) for low, n in zip(lower, cropped, strict=True))
    factors = [n / m for n, m in zip(cropped, thin.shape[1:], strict=True)]
    for channel, target in zip(thin, whole, strict=True):
        target[box] = zoom(channel, factors, order=1, mode="nearest", grid_mode=True)
    return whole
