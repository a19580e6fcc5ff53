"""Room on the disk: how much a run needs, whether it is there, and how much a data set takes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

from autoseg.dataset.case import Case
from autoseg.dataset.record import file_record
from autoseg.errors import InputError
from autoseg.image.geometry import Shape

# 4 for a float32 channel; compression gains about what resampling to a finer grid may cost
_BYTES_PER_IMAGE_VOXEL = 4
# preprocessed label, reference label and cross-validated prediction, the latter two compressed
_BYTES_PER_LABEL_VOXEL = 2

SMALL_BYTES = 100_000_000
"""Of a data set's files. Reading and resampling so many takes a core about 20 s, starting processes a second for each
stage (docs/experiments/planning-and-preprocessing.md)."""


def estimate_bytes(shapes: Iterable[Shape], channels: int) -> int:
    """Bytes that preprocessing and cross-validation of cases of these `shapes` (z, y, x) take, for one configuration.

    At the images' own spacing; a plan with a finer one needs more.
    """
    voxels = sum(z * y * x for z, y, x in shapes)
    return voxels * (_BYTES_PER_IMAGE_VOXEL * channels + _BYTES_PER_LABEL_VOXEL)


def is_small(cases: Iterable[Case]) -> bool:
    """Whether all files of these cases together are so few bytes that processes take longer to start than they save."""
    files = {path for case in cases for path in (*case.images, case.label) if path is not None}
    sizes = (file_record(file, file.parent).size for file in files)
    # large data sets may have very many files: no more are looked at than it takes
    return all(total < SMALL_BYTES for total in accumulate(sizes))


def require_disk_space(folder: Path, bytes_needed: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Args:
        folder: where it will be written; need not exist yet.
        bytes_needed: such as `estimate_bytes` gives.

    Raises:
        InputError: less is free; names both amounts.
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
