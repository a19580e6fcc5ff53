"""Reads the one volume of a folder of DICOM files, or of a DICOM file of one or many frames.

Every frame becomes a record (`records`); records are grouped into stacks and judged (`stacks`), one volume is chosen
(`volumes`), and its voxels are read and scaled (`voxels`). What is left out is named.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from numpy.typing import DTypeLike, NDArray

from autoseg.errors import ImageError
from autoseg.image.declared_size import Declared, require_memory
from autoseg.image.dicom.choice import ONLY_ONE, Choice
from autoseg.image.dicom.frame import Frame
from autoseg.image.dicom.header import read_header
from autoseg.image.dicom.objects import LeftOut
from autoseg.image.dicom.records import records_of
from autoseg.image.dicom.stacks import geometry_of
from autoseg.image.dicom.volumes import Chosen, choose
from autoseg.image.dicom.voxels import read_voxels
from autoseg.image.dicom_file import is_dicom_file
from autoseg.image.file_kind import require_readable
from autoseg.image.geometry import Geometry
from autoseg.image.sound_geometry import require_sound

_SHOWN = 8
_INDEX = "DICOMDIR"


@dataclass(frozen=True)
class DicomVolume:
    """A volume that was read from DICOM.

    Args:
        array: (z, y, x) values.
        geometry: its voxel grid; z grows along the normal of the slices, so that the axes (x, y, z) are right-handed.
        left_out: one sentence that names what in the folder or file was not read; empty where everything was.
    """

    array: NDArray
    geometry: Geometry
    left_out: str


def read_dicom(path: Path, choice: Choice = ONLY_ONE, dtype: DTypeLike | None = None) -> DicomVolume:
    """Read the only volume, or the one that is chosen.

    Args:
        path: folder of DICOM files, or one file.
        choice: what the volume must have, where there are several.
        dtype: dtype of the values; None = one that holds all of them.

    Raises:
        ImageError: a file is damaged, truncated or must not be read; there is no volume or there are several; slices
            are missing, double, shifted or uneven; or the voxels do not fit into memory.
    """
    chosen, geometry, left_out = _found(path, choice)
    width = chosen.stack.frames[0].storage.allocated // 8
    require_memory(path, Declared(geometry.shape[::-1], 1, width, width))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = read_voxels(chosen.stack.frames, dtype)
    return DicomVolume(array, geometry, left_out)


def read_dicom_geometry(path: Path, choice: Choice = ONLY_ONE) -> Geometry:
    """Geometry of the volume that `read_dicom` reads, from headers alone.

    Raises:
        ImageError: in the cases of `read_dicom` that headers show.
    """
    return _found(path, choice)[1]


def _found(path: Path, choice: Choice) -> tuple[Chosen, Geometry, str]:
    frames: list[Frame] = []
    others: list[LeftOut] = []
    with warnings.catch_warnings():
        # pydicom warns of each value that departs from the standard; those that matter are judged by the readers here
        warnings.simplefilter("ignore")
        for file in _files_of(path, others):
            found = records_of(read_header(file))
            if isinstance(found, LeftOut):
                others.append(found)
            else:
                frames += found
    if not frames:
        raise ImageError(_nothing(path, others))
    chosen = choose(path, frames, choice)
    geometry = geometry_of(chosen.stack)
    require_sound(path, geometry)
    return chosen, geometry, _told(path, [*chosen.left_out, *map(str, others)])


def _files_of(path: Path, others: list[LeftOut]) -> list[Path]:
    """DICOM files of a path; what else a folder holds is added to `others`."""
    if not path.is_dir():
        return [path]
    files = []
    for entry in sorted(path.iterdir()):
        # a named pipe, or a link that leads nowhere, is an error even where its name is hidden
        require_readable(entry)
        if entry.name.startswith(".") or entry.name.upper() == _INDEX:
            continue
        if entry.is_dir():
            others.append(LeftOut(entry, "a folder"))
        elif is_dicom_file(entry):
            files.append(entry)
        else:
            others.append(LeftOut(entry, "no DICOM file"))
    return files


def _nothing(path: Path, others: list[LeftOut]) -> str:
    if path.is_dir():
        return f"{path}: no DICOM series in this folder" + (f": {_listed(others)}" if others else "")
    return f"{path}: is {others[0].why}; it is no image of slices"


def _told(path: Path, left_out: list[str]) -> str:
    return f"{path}: not read of it: {_listed(left_out)}" if left_out else ""


def _listed(left_out: list[str] | list[LeftOut]) -> str:
    more = f", and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
    return "; ".join(map(str, left_out[:_SHOWN])) + more
