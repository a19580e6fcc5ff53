"""Tells whether autoseg wrote a DICOM file that lies where it is about to write one."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread
from pydicom.uid import EnhancedSRStorage, SegmentationStorage

from autoseg.errors import ImageError
from autoseg.image.dicom.header import damage_told, read_header
from autoseg.image.dicom.quiet import without_warnings_of_pydicom
from autoseg.image.dicom_file import is_dicom_file
from autoseg.image.file_kind import why_unreadable

MANUFACTURER = "autoseg"
_LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
_KINDS = (SegmentationStorage, _LABEL_MAP, EnhancedSRStorage)


def is_foreign_dicom(path: Path) -> bool:
    """Whether there is a DICOM file at a path that is no segmentation or report by autoseg."""
    if why_unreadable(path) is not None or path.is_dir() or not is_dicom_file(path):
        return False
    try:
        # refuses what must not be opened
        read_header(path)
        with without_warnings_of_pydicom(), damage_told(path), path.open("rb") as file:
            found = dcmread(file, force=True, stop_before_pixels=True, specific_tags=["SOPClassUID", "Manufacturer"])
            return not (found.get("Manufacturer") == MANUFACTURER and found.get("SOPClassUID") in _KINDS)
    except ImageError:
        return True
