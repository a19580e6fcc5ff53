"""Checks of image files for damage that ITK's readers do not report.

Where a NIfTI, GIPL, VTK or DICOM file is truncated, ITK fills the missing voxels with zeros and reports no error. It
also replaces NaN and infinite numbers of NIfTI files by zeros. This module therefore counts the bytes of a file and
checks its numbers. The readers of NRRD and MetaImage refuse truncated files themselves.
"""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import ImageError

# formats that store uncompressed voxels; the file as a whole may be gzipped
_PLAIN_ENDINGS = (".nii", ".img", ".gipl", ".vtk")
# a multiple of the size of every dtype
_BLOCK_BYTES = 1 << 22
_GIPL_HEADER_BYTES = 256
_DICOM_ENDINGS = (".dcm", ".ima")
# lengths of the NIfTI-1 and NIfTI-2 header; a header begins with its length, which reveals the byte order
_NIFTI_HEADER_BYTES = (348, 540)


@dataclass(frozen=True)
class Layout:
    """Place and size of the voxels in a file.

    Args:
        offset: number of bytes before the voxels.
        voxels: number of voxel values, over all channels.
        width: bytes of one voxel value.
        floating: whether the values are NIfTI floating-point numbers, of which ITK changes those that are not finite.
    """

    offset: int
    voxels: int
    width: int
    floating: bool = False


MOST_HEADER_BYTES = 100_000
_DATA_FILE = re.compile(r"^(?:ElementDataFile\s*=|data file:)\s*(.+)$", re.IGNORECASE | re.MULTILINE)


def inspect(path: Path, layout: Layout) -> NDArray[np.bool_] | None:
    """Refuse a truncated or damaged file, and find the numbers of a NIfTI file that are not finite.

    Args:
        path: path of the image file; formats whose readers notice damage themselves are not checked.
        layout: place and size of the voxels, from the file's header.

    Returns:
        (voxels,) bool, in the file's order (x fastest, then y, z, channel): whether each value is NaN or
        infinite; None where none is.

    Raises:
        ImageError: the file is truncated or damaged.
    """
    voxel_file = _voxel_file(path)
    name = voxel_file.name.lower()
    if not name.endswith((*_PLAIN_ENDINGS, *(ending + ".gz" for ending in _PLAIN_ENDINGS))):
        return None
    wrong = None
    before = max(layout.offset, _header_bytes(voxel_file))
    if name.endswith(".vtk") and not before:
        return None
    if name.endswith(".gz") or layout.floating:
        found, wrong = _scan(voxel_file, layout, _byte_order(path) if layout.floating else None)
    else:
        found = voxel_file.stat().st_size
    require_bytes(path, found, before + layout.voxels * layout.width)
    return wrong


def require_bytes(path: Path, found: int, expected: int) -> None:
    """Refuse a file that has fewer bytes than its header requires.

    Args:
        path: path of the file, for the message.
        found: number of bytes in the file.
        expected: number of bytes that the header and the voxels need.

    Raises:
        ImageError: the file has fewer bytes than expected.
    """
    if found < expected:
        raise ImageError(
            f"{path}: truncated, holds {found} of {expected} bytes of header and voxels; copy or download it again"
        )


def is_dicom_file(path: Path) -> bool:
    """Return whether a file is DICOM, by its ending or the letters `DICM` at byte 128."""
    if path.suffix.lower() in _DICOM_ENDINGS:
        return True
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _header_bytes(file: Path) -> int:
    """Length in bytes of a GIPL or binary VTK header; 0 for other formats and for VTK as text."""
    name = file.name.lower()
    if name.endswith((".gipl", ".gipl.gz")):
        return _GIPL_HEADER_BYTES
    if not name.endswith(".vtk"):
        return 0
    with file.open("rb") as opened:
        start = opened.read(4096)
    lines = start.split(b"\n")
    if len(lines) < 3 or lines[2].strip() != b"BINARY":
        return 0
    # the last line of the header begins with one of these words
    last = max(start.find(b"LOOKUP_TABLE"), start.find(b"VECTORS"), 0)
    return start.find(b"\n", last) + 1


def _scan(file: Path, layout: Layout, byte_order: str | None) -> tuple[int, NDArray[np.bool_] | None]:
    """Number of bytes, and which values are not finite; reading to the end also verifies a gzip file's checksum."""
    wrong: NDArray[np.bool_] | None = None
    try:
        with gzip.open(file) if file.name.lower().endswith(".gz") else file.open("rb") as opened:
            found = len(opened.read(layout.offset))
            while block := opened.read(_BLOCK_BYTES):
                if byte_order is not None:
                    numbers = np.frombuffer(block, f"{byte_order}f{layout.width}", len(block) // layout.width)
                    finite = np.isfinite(numbers)
                    if not finite.all():
                        wrong = np.zeros(layout.voxels, bool) if wrong is None else wrong
                        first = (found - layout.offset) // layout.width
                        part = wrong[first : first + len(numbers)]
                        part |= ~finite[: len(part)]
                found += len(block)
    except EOFError:
        raise ImageError(f"{file}: truncated, its compressed data break off; copy or download it again") from None
    except (OSError, zlib.error) as error:
        raise ImageError(f"{file}: damaged, its compressed data are wrong ({error}); copy it again") from None
    return found, wrong


def _byte_order(header_file: Path) -> str:
    with gzip.open(header_file) if header_file.name.lower().endswith(".gz") else header_file.open("rb") as opened:
        return "<" if int.from_bytes(opened.read(4), "little") in _NIFTI_HEADER_BYTES else ">"


def files_of_image(path: Path) -> tuple[Path, ...]:
    """The files that make an image: the file itself, and those beside it that hold the voxels of a header file.

    Args:
        path: image file; `.hdr`, `.mhd` and `.nhdr` are headers whose voxels may lie in other files.
    """
    found = {path, _voxel_file(path)}
    if path.name.lower().endswith((".mhd", ".nhdr")) and path.is_file():
        header = path.read_bytes()[:MOST_HEADER_BYTES].decode(errors="replace")
        for name in _DATA_FILE.findall(header):
            # LOCAL, LIST and patterns name no single file
            if (beside := path.parent / name.strip()).is_file():
                found.add(beside)
    return tuple(sorted(found))


def _voxel_file(path: Path) -> Path:
    """The file that holds the voxels: the `.img` beside a `.hdr`, else `path` itself."""
    name = path.name.lower()
    for ending in (".hdr", ".hdr.gz"):
        if name.endswith(ending):
            stem = path.name[: -len(ending)]
            beside = [path.with_name(stem + voxels) for voxels in (".img", ".img.gz")]
            return next((file for file in beside if file.exists()), path)
    return path
