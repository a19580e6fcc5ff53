"""Whether a file holds all of its voxels.

ITK fills what a truncated NIfTI, GIPL, VTK or DICOM file lacks with zeros and says nothing, so the
voxels that should be there are counted. NRRD and MetaImage readers refuse truncated files by
themselves; of compressed DICOM slices nobody can tell before they are decoded.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from autoseg.errors import ImageError

# formats that store voxels as they are, gzipped as a whole or not at all
_PLAIN_ENDINGS = (".nii", ".img", ".gipl", ".vtk")
_BLOCK_BYTES = 1 << 22


def require_whole(path: Path, expected_bytes: int) -> None:
    """Refuse a file that is shorter than its voxels, or whose gzip stream is cut off or damaged.

    Files in formats whose readers notice by themselves pass unread.

    Args:
        path: of the image.
        expected_bytes: of header and voxels together, before compression.

    Raises:
        ImageError: the file is truncated or damaged.
    """
    path = _data_file(path)
    name = path.name.lower()
    if name.endswith(tuple(ending + ".gz" for ending in _PLAIN_ENDINGS)):
        found = _unzipped_bytes(path)
    elif name.endswith(_PLAIN_ENDINGS):
        found = path.stat().st_size
    else:
        return
    require_bytes(path, found, expected_bytes)


def require_bytes(path: Path, found: int, expected: int) -> None:
    """Refuse a file of fewer bytes than its header promises.

    Raises:
        ImageError: it is truncated.
    """
    if found < expected:
        raise ImageError(
            f"{path}: truncated, holds {found} of {expected} bytes of header and voxels; copy or download it again"
        )


def _data_file(path: Path) -> Path:
    """The file with the voxels, where a header has a file of its own (`.hdr` beside `.img`)."""
    name = path.name.lower()
    for ending in (".hdr", ".hdr.gz"):
        if name.endswith(ending):
            stem = path.name[: -len(ending)]
            beside = [path.with_name(stem + voxels) for voxels in (".img", ".img.gz")]
            return next((file for file in beside if file.exists()), path)
    return path


def _unzipped_bytes(path: Path) -> int:
    """Length of a gzip file's content; reads it to the end, so that its checksum is verified."""
    found = 0
    try:
        with gzip.open(path) as file:
            while block := file.read(_BLOCK_BYTES):
                found += len(block)
    except EOFError:
        raise ImageError(f"{path}: truncated, its compressed data break off; copy or download it again") from None
    except (OSError, zlib.error) as error:
        raise ImageError(f"{path}: damaged, its compressed data are wrong ({error}); copy it again") from None
    return found
