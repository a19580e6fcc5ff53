"""Size and layout of the usual NIfTI file from its first 348 bytes, for which ITK takes milliseconds an image."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from autoseg.image.declared_size import Declared
from autoseg.image.integrity import Layout

_BYTES = 348
_WIDTHS = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 256: 1, 512: 2, 768: 4}
"""Bytes of a value, keyed by NIfTI's code of whole numbers of 8 to 32 bits, float32 and float64."""

_FLOATS = (16, 64)
_LEAST_OFFSET = 352


@dataclass(frozen=True)
class NiftiHeader:
    """What a NIfTI file declares.

    Args:
        declared: size of the image in memory.
        layout: place and size of the voxels in the file.
    """

    declared: Declared
    layout: Layout


def usual_header(path: Path) -> NiftiHeader | None:
    """Return what a NIfTI-1 file declares that holds scalar values, as they are, behind its header.

    Returns:
        None for every other file, also for one that is damaged: ITK's reader decides about it.
    """
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        return None
    try:
        content = _first_bytes(path)
    except (OSError, EOFError, zlib.error):
        return None
    order = next((order for order in "<>" if content[:4] == struct.pack(f"{order}i", _BYTES)), None)
    if order is None or len(content) < _BYTES or content[344:348] != b"n+1\0":
        return None
    dimensions, *size = struct.unpack_from(f"{order}8h", content, 40)
    code, bits = struct.unpack_from(f"{order}2h", content, 70)
    offset, slope, intercept = struct.unpack_from(f"{order}3f", content, 108)
    width = _WIDTHS.get(code)
    usual = dimensions in (3, 4) and min(size[:dimensions]) >= 1 and all(n <= 1 for n in size[dimensions:])
    as_they_are = slope in (0.0, 1.0) and intercept == 0.0
    if not (usual and as_they_are and width is not None and bits == 8 * width and _LEAST_OFFSET <= offset < 2**31):
        return None
    declared = Declared(tuple(size[:dimensions]), 1, width, width)
    return NiftiHeader(declared, Layout(int(offset), math.prod(declared.size), width, floating=code in _FLOATS))


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_BYTES)
        if content[:2] != b"\x1f\x8b":
            return content
        file.seek(0)
        with gzip.GzipFile(fileobj=file) as unfolded:
            return unfolded.read(_BYTES)
