"""Checks of image files for damage that ITK's readers do not report.

Where a GIPL or VTK file is truncated, ITK fills the missing voxels with zeros and reports no error. This module
therefore counts the bytes of a file before ITK takes memory for them. For NRRD and MetaImage this is done by
`declared_size`, for NIfTI, MGH and DICOM by autoseg's own readers.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import ImageError
from autoseg.image.text_headers import voxel_storage
from autoseg.image.unfolded import count_rest, is_gzipped, skip, unfolded

# formats that ITK reads and that store uncompressed voxels; a GIPL file as a whole may be gzipped
_PLAIN_ENDINGS = (".gipl", ".gipl.gz", ".vtk")
PAIR_ENDINGS = (".hdr", ".hdr.gz", ".img", ".img.gz")
"""Endings of NIfTI in two files: a header and the voxels."""

MOST_EXPANSION = 1032
"""Deflate makes at most so many bytes of one."""

_GIPL_HEADER_BYTES = 256


@dataclass(frozen=True)
class Layout:
    """Place and size of the voxels in a file.

    Args:
        offset: number of bytes before the voxels.
        voxels: number of voxel values, over all channels.
        width: bytes of one voxel value.
    """

    offset: int
    voxels: int
    width: int


def inspect(path: Path, layout: Layout) -> None:
    """Refuse a truncated or damaged file.

    Args:
        path: path of the image file; formats whose readers notice damage themselves are not checked.
        layout: size of the voxels, from the file's header.

    Raises:
        ImageError: the file is truncated or damaged, or gzipped under a name without `.gz`, or the other way round.
    """
    if not inspects(path):
        return
    _require_name_of_content(path)
    if is_gzipped(path):
        expected = _expected(path, layout)
        with unfolded(path) as opened:
            found = skip(opened, expected)
            require_bytes(path, found, expected)
            count_rest(opened, path, expected)


def require_held(path: Path, layout: Layout) -> None:
    """Refuse a GIPL or VTK file that is too small for its header, by its size alone.

    Raises:
        ImageError: it is too small, or it is gzipped and could not unfold to so much.
    """
    held, expected = path.stat().st_size, _expected(path, layout)
    if is_gzipped(path):
        require_unfolds_to(path, held, expected)
    else:
        require_bytes(path, held, expected)


def require_unfolds_to(path: Path, held: int, expected: int) -> None:
    """Refuse a gzipped file that cannot unfold to what its header requires.

    Args:
        path: path of the image, for the message.
        held: number of bytes of the compressed file.
        expected: number of bytes that the header and the voxels need.

    Raises:
        ImageError: it cannot, since gzip makes at most 1032 bytes of one.
    """
    if MOST_EXPANSION * held < expected:
        raise ImageError(
            f"{path}: truncated or damaged, its {held} bytes cannot unfold to the {expected} bytes of header and "
            "voxels that its header declares; copy or download it again"
        )


def _expected(path: Path, layout: Layout) -> int:
    return max(layout.offset, _header_bytes(path)) + layout.voxels * layout.width


def _require_name_of_content(path: Path) -> None:
    """Refuse what ITK, which goes by the name, would misread."""
    named = path.name.lower().endswith(".gz")
    if is_gzipped(path) != named:
        was, ending = ("is not gzipped", "without") if named else ("is gzipped", "with")
        raise ImageError(f"{path}: {was}, although its name says otherwise; rename it, {ending} .gz at the end")


def inspects(path: Path) -> bool:
    """Whether the bytes of an image are counted here: its format is GIPL or binary VTK."""
    name = path.name.lower()
    return name.endswith(_PLAIN_ENDINGS) and (not name.endswith(".vtk") or _header_bytes(path) > 0)


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


def files_of_image(path: Path) -> tuple[Path, ...]:
    """The files that make an image: the file itself, and those beside it that hold the voxels of a header file.

    Args:
        path: image file; the headers of NIfTI, MetaImage and NRRD may say that the voxels lie in other files.
    """
    found = {path, voxel_file(path)}
    if path.name.lower().endswith(".img"):
        found.update(file for file in (path.with_suffix(".hdr"), path.with_suffix(".hdr.gz")) if file.is_file())
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


def voxel_file(path: Path) -> Path:
    """Return the file that holds the voxels: the `.img` beside a `.hdr`, else `path` itself."""
    name = path.name.lower()
    for ending in (".hdr", ".hdr.gz"):
        if name.endswith(ending):
            stem = path.name[: -len(ending)]
            beside = [path.with_name(stem + voxels) for voxels in (".img", ".img.gz")]
            return next((file for file in beside if file.exists()), path)
    return path
