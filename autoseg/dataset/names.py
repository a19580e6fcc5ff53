"""Rules for names of image files: endings, nnU-Net's channel numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from autoseg.image.dicom_file import DICOM_ENDINGS, is_dicom_file
from autoseg.image.file_kind import require_readable, why_unreadable
from autoseg.image.text_headers import SEGMENTATION_ENDING

# double endings come first, so that the whole of `.nii.gz` is found
IMAGE_ENDINGS = (
    *(".nii.gz", ".gipl.gz", ".hdr.gz", SEGMENTATION_ENDING),
    *(".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".gipl", ".vtk", ".dcm", ".ima", ".mnc", ".mrc", ".mgh"),
    *(".mgz", ".tiff", ".tif", ".png", ".jpg", ".jpeg", ".bmp", ".hdf5", ".h5"),
)
_NUMBERED = re.compile(r"(?P<name>.+)_(?P<channel>\d{4})")


def split_ending(path: Path) -> tuple[str, str]:
    """Split a file name into its stem and its image ending (".nii.gz"); the ending is empty where it is unknown."""
    lower = path.name.lower()
    for ending in IMAGE_ENDINGS:
        if lower.endswith(ending) and len(lower) > len(ending):
            return path.name[: -len(ending)], path.name[-len(ending) :]
    return path.name, ""


def split_channel(name: str) -> tuple[str, int] | None:
    """Split a name in nnU-Net's convention, `CASE_0001`, into case and channel; None for any other name."""
    match = _NUMBERED.fullmatch(name)
    return None if match is None else (match["name"], int(match["channel"]))


def entries(folder: Path) -> list[Path]:
    """Files and folders in `folder`, sorted by name, without hidden ones such as macOS's `._` files.

    Raises:
        ImageError: there is no permission to read the folder.
    """
    require_readable(folder)
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def is_dicom_folder(folder: Path) -> bool:
    """Whether a folder holds a DICOM file, by the ending or the first bytes of its files; those within suffice."""
    if why_unreadable(folder) is not None:
        # it may be one, and is told when it is read
        return True
    return any_dicom(entries(folder))


def any_dicom(paths: Iterable[Path]) -> bool:
    """Whether a DICOM file is among files and folders, by the ending or the first bytes of its files."""
    files = (path for path in paths if path.name.upper() != "DICOMDIR" and path.is_file())
    return any(may_be_dicom(file) and is_dicom_file(file) for file in files)


def may_be_dicom(file: Path) -> bool:
    """Whether a file's name is not that of another format."""
    return split_ending(file)[1].lower() in ("", *DICOM_ENDINGS)
