"""Disk space: how much a run needs, whether so much is free, and whether a data set is small."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

from autoseg.dataset.case import Case
from autoseg.dataset.record import file_record
from autoseg.errors import InputError
from autoseg.image.geometry import Shape

# 4 bytes for each voxel of a float32 channel; compression saves about as much as resampling to a finer grid may add
_BYTES_PER_IMAGE_VOXEL = 4
# for the preprocessed label, the compressed reference label and the compressed prediction of the validation case
_BYTES_PER_LABEL_VOXEL = 2

SMALL_BYTES = 100_000_000
"""Data sets with fewer bytes than this, over all files, are processed by threads instead of worker processes.

One core reads and resamples so many bytes in about 20 s; starting processes takes a second for each stage
(docs/experiments/planning-and-preprocessing.md).
"""


def estimate_bytes(shapes: Iterable[Shape], channels: int) -> int:
    """Bytes on disk that preprocessing and cross-validation take for one configuration.

    Args:
        shapes: shape (z, y, x) of each case in voxels after resampling. Before a plan exists, the stored shapes give
            an estimate, which is too low if the plan has a finer spacing.
        channels: number of channels of each case.
    """
    voxels = sum(z * y * x for z, y, x in shapes)
    return voxels * (_BYTES_PER_IMAGE_VOXEL * channels + _BYTES_PER_LABEL_VOXEL)


def is_small(cases: Iterable[Case]) -> bool:
    """Whether these cases together have so few bytes that starting worker processes costs more time than it saves."""
    files = {path for case in cases for path in (*case.images, case.label) if path is not None}
    sizes = (file_record(file, file.parent).size for file in files)
    # large data sets may have very many files: the sum stops as soon as it passes the limit
    return all(total < SMALL_BYTES for total in accumulate(sizes))


def require_disk_space(folder: Path, bytes_needed: int) -> None:
    """Refuse to start if the disk has too little free space.

    Args:
        folder: folder that will be written to; it need not exist yet.
        bytes_needed: number of bytes that will be written, as `estimate_bytes` returns it.

    Raises:
        InputError: less is free; the message names both amounts.
    """
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < bytes_needed:
        raise InputError(
            f"{folder}: about {_readable(bytes_needed)} are needed on this disk, {_readable(free)} are free; "
            "free some, or choose a folder on another disk"
        )


def _readable(size: int) -> str:
    number = float(size)
    for unit in ("bytes", "KB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
