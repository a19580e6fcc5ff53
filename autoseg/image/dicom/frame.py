"""The record of one frame: a slice with its place, scale and acquisition. No voxels are held."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Series:
    """The series of a frame; what its files do not state is empty.

    Args:
        uid: its identifier (Series Instance UID).
        number: its number as text.
        description: its description, as a technician wrote it, such as `t2_tse_sag`.
        modality: kind of scanner or object, such as `MR` or `CT`.
        study: identifier of its study (Study Instance UID).
        study_date: date of its study as the file has it, such as `20240131`.
        study_description: description of its study.
        patient: identifier of its patient (Patient ID).
    """

    uid: str
    number: str = ""
    description: str = ""
    modality: str = ""
    study: str = ""
    study_date: str = ""
    study_description: str = ""
    patient: str = ""

    def __str__(self) -> str:
        told = f"series {self.number}" if self.number else f"series {self.uid or 'without identifier'}"
        return told + (f" ({self.description})" if self.description else "")


@dataclass(frozen=True)
class Storage:
    """How a file stores the voxels of its frames.

    Args:
        syntax: identifier of the transfer syntax.
        offset: place of the first byte of the voxels.
        frames: number of frames that the file holds.
        allocated: bits that a value takes.
        stored: bits of them that are used, the lowest ones.
        signed: whether values may be negative.
    """

    syntax: str
    offset: int
    frames: int
    allocated: int
    stored: int
    signed: bool


@dataclass(frozen=True)
class Frame:
    """One slice of a DICOM file.

    Args:
        file: path of its file.
        index: its number in the file, from 0.
        rows: number of rows, which is the number of voxels along y of the frame.
        columns: number of columns, which is the number of voxels along x of the frame.
        position: LPS position (x, y, z) in mm of the first voxel.
        along_row: unit vector (x, y, z) along which the column number grows.
        along_column: unit vector (x, y, z) along which the row number grows.
        pixel_spacing: distance in mm between rows, and between columns.
        thickness: distance to the next slice as the file states it, else thickness of the slice, in mm; None where it
            states neither.
        slope: factor from stored to real values.
        intercept: offset, added after the factor.
        is_scaled: whether the file states them; without, they are 1 and 0.
        is_inverted: whether larger values are meant to be darker (MONOCHROME1); they are read as they are stored.
        storage: how the file stores it.
        series: DICOM series that the frame belongs to.
        instance: identifier of the file's content (SOP Instance UID); may be empty.
        is_scout: whether it is a localiser.
        is_mosaic: whether it shows many slices side by side, as Siemens stores them.
        stack: its Stack ID; empty where there is none.
        image_type: words of its Image Type or Frame Type, with a backslash between.
        echo: echo time in ms.
        b_value: diffusion b-value in s/mm².
        inversion: inversion time in ms.
        times: what may order its copies in time: name and value, in the order in which they are tried.
    """

    file: Path
    index: int
    rows: int
    columns: int
    position: Vector
    along_row: Vector
    along_column: Vector
    pixel_spacing: tuple[float, float]
    thickness: float | None
    slope: float
    intercept: float
    is_scaled: bool
    is_inverted: bool
    storage: Storage
    series: Series
    instance: str
    is_scout: bool
    is_mosaic: bool
    stack: str
    image_type: str
    echo: float | None
    b_value: float | None
    inversion: float | None
    times: tuple[tuple[str, float | str], ...]

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector (x, y, z) that is perpendicular to the slice, so that the three axes are right-handed."""
        normal = np.cross(self.along_row, self.along_column)
        return normal / np.linalg.norm(normal)

    def __str__(self) -> str:
        return self.file.name + (f", frame {self.index + 1}" if self.storage.frames > 1 else "")
