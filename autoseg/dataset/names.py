"""Names of files and cases: image endings, safe names, nnU-Net's channel numbers."""

from __future__ import annotations

import re
from pathlib import Path

from autoseg.image.integrity import is_dicom_file

# longest first, so that `.nii.gz` is not taken for `.gz`
IMAGE_ENDINGS = (
    *(".nii.gz", ".gipl.gz", ".hdr.gz"),
    *(".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".gipl", ".vtk", ".dcm", ".ima", ".mnc", ".mrc", ".mgh"),
    *(".mgz", ".tiff", ".tif", ".png", ".jpg", ".bmp", ".hdf5", ".h5"),
)
_UNSAFE = re.compile(r'[/\\:*?"<>|\x00-\x1f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_NUMBERED = re.compile(r"(?P<name>.+)_(?P<channel>\d{4})")
_LONGEST_NAME = 150


def split_ending(path: Path) -> tuple[str, str]:
    """File name without its ending, and the ending (".nii.gz"); a folder or an unknown file has none."""
    lower = path.name.lower()
    for ending in IMAGE_ENDINGS:
        if lower.endswith(ending) and len(lower) > len(ending):
            return path.name[: -len(ending)], path.name[-len(ending) :]
    return path.name, ""


def split_channel(name: str) -> tuple[str, int] | None:
    """Case and channel of a name by nnU-Net's convention, `CASE_0001`; None where it does not follow it."""
    match = _NUMBERED.fullmatch(name)
    return None if match is None else (match["name"], int(match["channel"]))


def why_unsafe(name: str) -> str | None:
    """Why `name` cannot name a file on every operating system; None if it can."""
    if not name:
        return "is empty"
    if _UNSAFE.search(name):
        return 'holds one of the characters / \\ : * ? " < > | or a control character'
    if name != name.strip() or name.endswith(".") or name.startswith((".", "-")):
        return "begins with a point, hyphen or blank, or ends with a point or blank"
    if _RESERVED.fullmatch(name):
        return "is reserved on Windows"
    if len(name.encode()) > _LONGEST_NAME:
        return f"is longer than {_LONGEST_NAME} bytes"
    return None


def entries(folder: Path) -> list[Path]:
    """Visible files and folders in `folder`, by name; macOS's `._` files and other hidden ones are left out."""
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def is_dicom_folder(folder: Path) -> bool:
    """Whether a folder holds DICOM slices, told by the first files' endings or their mark at byte 128."""
    files = [entry for entry in entries(folder) if entry.is_file() and entry.name.upper() != "DICOMDIR"]
    return any(is_dicom_file(file) for file in files[:5])
