"""Checks of image files for damage that ITK's readers do not report.

Where a NIfTI, GIPL, VTK or DICOM file is truncated, ITK fills the missing voxels with zeros and reports no error. It
also replaces NaN and infinite numbers of NIfTI files by zeros. This module therefore counts the bytes of a file and
checks its numbers, before ITK takes memory for them. For NRRD and MetaImage this is done by `declared_size`.
"""

from __future__ import annotations

import gzip
import os
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import ImageError
from autoseg.image.text_headers import voxel_storage

# formats that store uncompressed voxels; the file as a whole may be gzipped
_PLAIN_ENDINGS = (".nii", ".img", ".gipl", ".vtk")
# a multiple of the size of every dtype
_BLOCK_BYTES = 1 << 22
MOST_EXPANSION = 1032
"""Deflate makes at most so many bytes of one."""

_GIPL_HEADER_BYTES = 256
# a gzip file that unfolds to so much more than its header declares is refused instead of being followed to its end
_MOST_BYTES_BEHIND = 64 * 2**20
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
    if not inspects(path):
        return None
    voxel_file = _voxel_file(path)
    name = voxel_file.name.lower()
    wrong = None
    before = max(layout.offset, _header_bytes(voxel_file))
    expected = before + layout.voxels * layout.width
    if name.endswith(".gz") or layout.floating:
        found, wrong = _scan(voxel_file, layout, _byte_order(path) if layout.floating else None, expected)
        require_bytes(path, found, expected)
    return wrong


def require_held(path: Path, layout: Layout) -> None:
    """Refuse a NIfTI, GIPL or VTK file that is too small for its header, by its size alone.

    Raises:
        ImageError: it is too small, or it is gzipped and could not unfold to so much.
    """
    file = _voxel_file(path)
    held = file.stat().st_size
    expected = max(layout.offset, _header_bytes(file)) + layout.voxels * layout.width
    if not file.name.lower().endswith(".gz"):
        require_bytes(path, held, expected)
    elif MOST_EXPANSION * held < expected:
        raise ImageError(
            f"{path}: truncated or damaged, its {held} bytes cannot unfold to the {expected} bytes of header and "
            "voxels that its header declares; copy or download it again"
        )


def inspects(path: Path) -> bool:
    """Whether the bytes of an image are counted here: its format is NIfTI, GIPL or binary VTK."""
    file = _voxel_file(path)
    name = file.name.lower()
    if not name.endswith((*_PLAIN_ENDINGS, *(ending + ".gz" for ending in _PLAIN_ENDINGS))):
        return False
    return not name.endswith(".vtk") or _header_bytes(file) > 0


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


def _scan(file: Path, layout: Layout, byte_order: str | None, expected: int) -> tuple[int, NDArray[np.bool_] | None]:
    """Number of bytes, and which values are not finite; reading to the end also verifies a gzip file's checksum."""
    wrong: NDArray[np.bool_] | None = None
    try:
        with _opened(file) as opened:
            found = _skipped(opened, layout.offset)
            while block := opened.read(_BLOCK_BYTES):
                if byte_order is not None:
                    numbers = np.frombuffer(block, f"{byte_order}f{layout.width}", len(block) // layout.width)
                    finite = np.isfinite(numbers)
                    first = (found - layout.offset) // layout.width
                    if not finite[: max(0, layout.voxels - first)].all():
                        wrong = np.zeros(layout.voxels, bool) if wrong is None else wrong
                        part = wrong[first : first + len(numbers)]
                        part |= ~finite[: len(part)]
                found += len(block)
                if found > expected + _MOST_BYTES_BEHIND:
                    raise _unfolds_further(file, expected)
    except EOFError:
        raise ImageError(f"{file}: truncated, its compressed data break off; copy or download it again") from None
    except (OSError, zlib.error) as error:
        raise ImageError(f"{file}: damaged, its compressed data are wrong ({error}); copy it again") from None
    return found, wrong


def _unfolds_further(file: Path, expected: int) -> ImageError:
    return ImageError(
        f"{file}: holds more than {_MOST_BYTES_BEHIND >> 20} MiB beyond the {expected} bytes of header and voxels that "
        "its header declares; its header is wrong, or the file is no image; export it again"
    )


def _opened(file: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(file)) if file.name.lower().endswith(".gz") else file.open("rb")


def _skipped(opened: BinaryIO, count: int) -> int:
    """Read `count` bytes, or up to the end, and return how many there were."""
    left = count
    while left and (block := opened.read(min(left, _BLOCK_BYTES))):
        left -= len(block)
    return count - left


def _byte_order(header_file: Path) -> str:
    with _opened(header_file) as opened:
        return "<" if int.from_bytes(opened.read(4), "little") in _NIFTI_HEADER_BYTES else ">"


def files_of_image(path: Path) -> tuple[Path, ...]:
    """The files that make an image: the file itself, and those beside it that hold the voxels of a header file.

    Args:
        path: image file; the headers of NIfTI, MetaImage and NRRD may say that the voxels lie in other files.
    """
    found = {path, _voxel_file(path)}
    if path.is_file():
        # a damaged header is told when the image is read
        with suppress(ImageError):
            storage = voxel_storage(path)
            found.update(file for file in (storage.files if storage else ()) if file.is_file())
    return tuple(sorted(found))


def voxel_files_elsewhere(path: Path) -> tuple[Path, ...]:
    """The files of an image that lie outside of the folder of its header file, and not in a folder inside that."""
    folder = Path(os.path.normpath(path.absolute().parent))
    files = [Path(os.path.normpath(file.absolute())) for file in files_of_image(path)]
    return tuple(file for file in files if not file.is_relative_to(folder))


def _voxel_file(path: Path) -> Path:
    """The file that holds the voxels: the `.img` beside a `.hdr`, else `path` itself."""
    name = path.name.lower()
    for ending in (".hdr", ".hdr.gz"):
        if name.endswith(ending):
            stem = path.name[: -len(ending)]
            beside = [path.with_name(stem + voxels) for voxels in (".img", ".img.gz")]
            return next((file for file in beside if file.exists()), path)
    return path
