"""Reads voxels that lie uncompressed in a file, which may be gzipped as a whole, once and within bounds.

In: where they lie, from a header. Out: an array (channel, z, y, x). A file is refused by its size before memory is
taken; an endless one is given up 64 MiB after what its header declares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoseg.image.declared_size import Declared, require_memory
from autoseg.image.integrity import require_bytes, require_unfolds_to
from autoseg.image.unfolded import BLOCK_BYTES, count_rest, fill, is_gzipped, skip, unfolded


@dataclass(frozen=True)
class StoredVoxels:
    """Place and form of the voxels of an image.

    Args:
        file: file that holds them.
        offset: number of bytes before them.
        dtype: dtype and byte order of a stored value.
        shape: (channel, z, y, x); x runs fastest in the file, channels slowest.
        slope, intercept: a voxel is its stored value times `slope` plus `intercept`.
    """

    file: Path
    offset: int
    dtype: np.dtype
    shape: tuple[int, int, int, int]
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def bytes_expected(self) -> int:
        """Least number of bytes of the unfolded file."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize

    @property
    def is_scaled(self) -> bool:
        """Whether voxels differ from stored values."""
        return (self.slope, self.intercept) != (1.0, 0.0)


def require_held(path: Path, voxels: StoredVoxels) -> None:
    """Refuse an image that its file cannot hold, by the file's size, or the memory.

    Args:
        path: path of the image, for the message.
        voxels: what its header declares.

    Raises:
        ImageError: the file is too small for it, or it takes more memory than is free.
    """
    held = voxels.file.stat().st_size
    if is_gzipped(voxels.file):
        require_unfolds_to(path, held, voxels.bytes_expected)
    else:
        require_bytes(path, held, voxels.bytes_expected)
    channels, z, y, x = voxels.shape
    width = voxels.dtype.itemsize
    require_memory(path, Declared((x, y, z), channels, width, width))


def read_voxels(path: Path, voxels: StoredVoxels, *, as_stored: bool) -> NDArray:
    """Read the voxels (channel, z, y, x) with their scale, as float32, or in the file's own dtype.

    Args:
        path: path of the image, for messages.
        voxels: what its header declares.
        as_stored: keep the dtype, in native byte order; scaled values are float64.

    Raises:
        ImageError: the file is truncated or damaged, or there is not enough memory.
    """
    require_held(path, voxels)
    own = np.dtype(np.float64) if voxels.is_scaled else voxels.dtype.newbyteorder("=")
    array = np.empty(math.prod(voxels.shape), own if as_stored else np.float32)
    # converted part by part on the way, so that memory holds the voxels once
    buffer, width = memoryview(bytearray(BLOCK_BYTES)), voxels.dtype.itemsize
    with unfolded(voxels.file) as opened, np.errstate(over="ignore", invalid="ignore"):
        found = skip(opened, voxels.offset)
        for begin in range(0, len(array), BLOCK_BYTES // width):
            part = array[begin : begin + BLOCK_BYTES // width]
            found += fill(opened, buffer[: len(part) * width])
            values = np.frombuffer(buffer, voxels.dtype, len(part))
            # too large a number becomes infinite, and is told as such
            part[...] = values.astype(np.float64) * voxels.slope + voxels.intercept if voxels.is_scaled else values
            if found < voxels.offset + (begin + len(part)) * width:
                break
        require_bytes(path, found, voxels.bytes_expected)
        count_rest(opened, path, voxels.bytes_expected)
    return array.reshape(voxels.shape)
