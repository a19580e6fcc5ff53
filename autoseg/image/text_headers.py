"""Reads from the text headers of MetaImage and NRRD files where the voxels lie, and how they are stored.

Read here are only the fields that say so, and those of units and colours, which SimpleITK passes over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from autoseg.errors import ImageError

MOST_HEADER_BYTES = 100_000
"""The fields of a header that say where the voxels lie are looked for in so many bytes."""

MOST_VOXEL_FILES = 20_000
"""A header that names more files than this is refused."""

META_ENDINGS, NRRD_ENDINGS = (".mha", ".mhd"), (".nrrd", ".nhdr")
SEGMENTATION_ENDING = ".seg.nrrd"
"""Ending of the segmentations of 3D Slicer."""

Encoding = Literal["raw", "deflated", "text", "hex"]
_NRRD_ENCODINGS: dict[str, Encoding] = {
    **{"raw": "raw", "gzip": "deflated", "gz": "deflated", "hex": "hex"},
    **{"ascii": "text", "text": "text", "txt": "text"},
}
_MILLIMETRES = frozenset(("", "?", "mm", "millimeter", "millimeters", "millimetre", "millimetres"))
_OTHER_LENGTHS = frozenset(
    (
        "nm",
        "um",
        "µm",
        "μm",
        "micron",
        "microns",
        "micrometer",
        "micrometers",
        "micrometre",
        "cm",
        "m",
        "meter",
        "metre",
    )
)
_NOT_SCALAR = frozenset(
    ("complex", "rgb-color", "rgba-color", "hsv-color", "xyz-color", "quaternion", "2d-symmetric-matrix",
     "3d-symmetric-matrix", "3d-masked-symmetric-matrix", "2d-matrix", "3d-matrix")
)  # fmt: skip
# `NAME%03d.raw FIRST LAST STEP`; NRRD may have a number of dimensions after it. ITK hands the name to C's `sprintf`,
# so that nothing but one plain number may stand in it
_PATTERN = re.compile(r"([^%]*%0?\d{0,2}[di][^%]*?)\s+(-?\d{1,9})\s+(-?\d{1,9})\s+(-?\d{1,9})(?:\s+\d)?")


@dataclass(frozen=True)
class VoxelStorage:
    """Where and how an image file with a text header stores its voxels.

    Args:
        files: files that hold the voxels; the file of the header itself where it holds them too.
        encoding: how the voxels are written in them.
        offset: number of bytes before the voxels in each file; 0 where that is not known.
    """

    files: tuple[Path, ...]
    encoding: Encoding
    offset: int = 0


def voxel_storage(path: Path) -> VoxelStorage | None:
    """Return where a MetaImage or NRRD file stores its voxels; None for other formats and where the header is damaged.

    Raises:
        ImageError: the header names too many files, or an encoding that no reader here knows.
    """
    name = path.name.lower()
    if not name.endswith((*META_ENDINGS, *NRRD_ENDINGS)):
        return None
    with path.open("rb") as file:
        start = file.read(MOST_HEADER_BYTES)
    return _of_meta(path, start) if name.endswith(META_ENDINGS) else _of_nrrd(path, start)


def require_numbers_in_mm(path: Path) -> None:
    """Refuse a MetaImage or NRRD file whose unit is not the millimetre, or whose numbers are colours or complex.

    ITK reads such a file as if its numbers were in mm, and colours as channels.

    Raises:
        ImageError: it is such a file; the message says what to do.
    """
    name = path.name.lower()
    if not name.endswith((*META_ENDINGS, *NRRD_ENDINGS)):
        return
    fields = header_fields(path)
    if name.endswith(META_ENDINGS):
        units = [fields.get("distanceunits", "")]
    else:
        if kinds := _NOT_SCALAR.intersection(fields.get("kinds", "").lower().split()):
            raise ImageError(
                f"{path}: its voxels are of the kind {sorted(kinds)[0]}, which is no sequence; export the grey values, "
                "or each part as an image of its own"
            )
        units = re.findall(r'"([^"]*)"', fields.get("space units", "")) + [
            unit for unit in re.findall(r'"([^"]*)"', fields.get("units", "")) if unit.lower() in _OTHER_LENGTHS
        ]
    if other := [unit for unit in units if unit.strip().lower() not in _MILLIMETRES]:
        raise ImageError(
            f"{path}: its unit is {other[0]!r:.40}, and autoseg reads mm; write spacing and origin in mm, or remove "
            "the unit where the numbers are in mm"
        )


def header_fields(path: Path) -> dict[str, str]:
    """Return the fields of the header of a MetaImage or NRRD file, with their names in lower case.

    Args:
        path: path of the file, whose name has an ending of one of these formats.
    """
    with path.open("rb") as file:
        start = file.read(MOST_HEADER_BYTES)
    if path.name.lower().endswith(META_ENDINGS):
        return _fields(start.partition(b"ElementDataFile")[0], "[=:]")
    return _fields(re.split(rb"\r?\n\r?\n", start, maxsplit=1)[0], ":")


def _of_meta(path: Path, start: bytes) -> VoxelStorage | None:
    last = re.search(rb"^\s*ElementDataFile\s*[=:]\s*([^\r\n]*)\r?(?:\n|$)", start, re.IGNORECASE | re.MULTILINE)
    _require_counts(path, start if last is None else start[: last.start()])
    if last is None:
        return None
    fields = _fields(start[: last.start()], "[=:]")
    is_true = {name: fields.get(name, "").upper().startswith("T") for name in ("compresseddata", "binarydata")}
    encoding: Encoding = "deflated" if is_true["compresseddata"] else "raw" if is_true["binarydata"] else "text"
    value = last[1].decode(errors="surrogateescape").strip()
    if value.upper() == "LOCAL":
        return VoxelStorage((path,), encoding, last.end())
    skipped = fields.get("headersize", "0")
    offset = int(skipped) if skipped.isdecimal() and len(skipped) < 19 else 0
    return VoxelStorage(_named_files(path, value, start[last.end() :]), encoding, offset)


def _require_counts(path: Path, header: bytes) -> None:
    """Refuse counts of dimensions and channels that MetaIO does not survive, wherever they are given in the header."""
    for name, most in ((b"NDims", 10), (b"ElementNumberOfChannels", 1_000_000)):
        for given in re.findall(rb"^\s*" + name + rb"\s*[=:]?([^\r\n]*)", header, re.IGNORECASE | re.MULTILINE):
            text = given.decode(errors="replace").strip(" =:\t\0")
            if not (text.isdecimal() and len(text) < 9 and 1 <= int(text) <= most):
                raise ImageError(f"{path}: its header is damaged, {name.decode()} is {text!r:.40}; copy it again")


def _of_nrrd(path: Path, start: bytes) -> VoxelStorage | None:
    end = re.search(rb"\r?\n\r?\n", start)
    fields = _fields(start if end is None else start[: end.start()], ":")
    named = fields.get("encoding", "raw").lower()
    if named not in _NRRD_ENCODINGS:
        raise ImageError(f"{path}: its voxels have the encoding {named!r}, which is not read; save it as raw or gzip")
    encoding = _NRRD_ENCODINGS[named]
    file = fields.get("data file", fields.get("datafile"))
    skips = any(name in fields for name in ("byte skip", "byteskip", "line skip", "lineskip"))
    if file is None:
        if end is None:
            return None
        return VoxelStorage((path,), encoding, 0 if skips else end.end())
    return VoxelStorage(_named_files(path, file, start.partition(b"LIST")[2].partition(b"\n")[2]), encoding)


def _fields(header: bytes, separator: str) -> dict[str, str]:
    """Fields of a header's lines, names in lower case; the first one counts where a field is given twice.

    Names end at the first match of the pattern `separator`; MetaIO reads `=` and `:` alike.
    """
    found: dict[str, str] = {}
    for line in header.decode(errors="surrogateescape").splitlines():
        name, *value = re.split(separator, line, maxsplit=1)
        found.setdefault(name.strip().lower(), "".join(value).strip())
    return found


def _named_files(path: Path, value: str, after: bytes) -> tuple[Path, ...]:
    """Files that a header names: one, a list on the lines after it, or a pattern with numbers."""
    names: Iterable[str] = (value,)
    if value.upper().split(" ")[0] == "LIST":
        lines = (line.strip() for line in after.decode(errors="surrogateescape").splitlines())
        names = (line for line in lines if line)
    elif "%" in value:
        pattern = _PATTERN.fullmatch(value)
        if pattern is None or not int(pattern[4]):
            raise ImageError(f"{path}: names its voxel files as {value!r:.80}, which is no pattern with one number")
        name, step = pattern[1], int(pattern[4])
        numbers = range(int(pattern[2]), int(pattern[3]) + (1 if step > 0 else -1), step)
        names = (name % number for number in numbers)
    found = tuple(path.parent / name for name in islice(names, MOST_VOXEL_FILES + 1))
    if len(found) > MOST_VOXEL_FILES:
        raise ImageError(
            f"{path}: names more than {MOST_VOXEL_FILES:,} files that hold its voxels; save it as one file"
        )
    return found
