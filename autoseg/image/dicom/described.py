"""What a DICOM file holds, read once: its series, and the records of its frames or what it is instead."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from autoseg.errors import ImageError
from autoseg.image.dicom.frame import Frame, Series
from autoseg.image.dicom.header import damage_told, read_header
from autoseg.image.dicom.quiet import without_warnings_of_pydicom
from autoseg.image.dicom.records import records_of, series_of
from autoseg.image.walk import LeftOut

_REMEMBERED_FILES, _REMEMBERED_FRAMES = 16_384, 16
"""The headers of so many files are remembered, some forty megabytes; a file of more frames than these is not."""


@dataclass(frozen=True)
class Described:
    """What the header of a DICOM file says.

    Args:
        file: path of the file.
        series: its series; None where the file is too damaged to tell it.
        frames: records of its frames; empty where it is no image of slices, or damaged.
        left_out: what it is instead of an image of slices; None where it is one.
        damage: message of the error that reading it raises; empty where there is none.
    """

    file: Path
    series: Series | None
    frames: tuple[Frame, ...] = ()
    left_out: LeftOut | None = None
    damage: str = ""

    def slices(self) -> tuple[Frame, ...] | LeftOut:
        """Records of its frames, or what it is instead.

        Raises:
            ImageError: it is damaged.
        """
        if self.damage:
            raise ImageError(self.damage)
        return self.frames if self.left_out is None else self.left_out


class _NotRemembered(Exception):
    def __init__(self, found: Described) -> None:
        self.found = found


def described(file: Path) -> Described:
    """Read the header of a file; one that was read shortly before, and has not changed since, is not read again."""
    with damage_told(file):
        status = file.stat()
    facts = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    try:
        return _remembered(file, facts)
    except _NotRemembered as passed:
        return passed.found


@lru_cache(_REMEMBERED_FILES)
def _remembered(file: Path, facts: tuple[int, ...]) -> Described:
    """The content of a file; its time of change, which nobody can set, is among the facts."""
    found = _read(file)
    # what could not be read may be readable at the next try
    if found.damage or len(found.frames) > _REMEMBERED_FRAMES:
        raise _NotRemembered(found)
    return found


def _read(file: Path) -> Described:
    series = None
    with without_warnings_of_pydicom():
        try:
            header = read_header(file)
            series = series_of(header)
            found = records_of(header, series)
        except ImageError as error:
            return Described(file, series if series and series.uid else None, damage=str(error))
    if isinstance(found, LeftOut):
        return Described(file, series, left_out=found)
    return Described(file, series, found)
