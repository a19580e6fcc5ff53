"""Reads the one volume of a folder of DICOM files, of a series in a folder, or of a file of one or many frames.

Every frame becomes a record (`records`); records are grouped into stacks and judged (`stacks`), one volume is chosen
(`volumes`), and its voxels are read and scaled (`voxels`). What is left out is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from numpy.typing import DTypeLike, NDArray

from autoseg.errors import ImageError
from autoseg.image.declared_size import Declared, require_memory
from autoseg.image.dicom.choice import ONLY_ONE, Choice, place_and_choice
from autoseg.image.dicom.frame import Frame
from autoseg.image.dicom.quiet import without_warnings_of_pydicom
from autoseg.image.dicom.sources import chosen_files
from autoseg.image.dicom.stacks import geometry_of
from autoseg.image.dicom.volumes import Chosen, choose
from autoseg.image.dicom.voxels import read_voxels
from autoseg.image.geometry import Geometry
from autoseg.image.sound_geometry import LARGEST_SPACING_MM, require_sound
from autoseg.image.walk import LeftOut

_SHOWN = 8


@dataclass(frozen=True)
class DicomVolume:
    """A volume that was read from DICOM.

    Args:
        array: (z, y, x) values.
        geometry: its voxel grid; z grows along the normal of the slices, so that the axes (x, y, z) are right-handed.
        modality: kind of scanner, such as `MR` or `CT`; empty where the files do not state it.
        left_out: one sentence that names what in the folder or file was not read; empty where everything was.
        localiser: sentence that says that it is a localiser; empty for other volumes.
    """

    array: NDArray
    geometry: Geometry
    modality: str
    left_out: str
    localiser: str = ""


def read_dicom(path: Path, choice: Choice = ONLY_ONE, dtype: DTypeLike | None = None) -> DicomVolume:
    """Read the only volume, or the one that is chosen.

    Args:
        path: folder of DICOM files, or one file; a choice may follow it, such as `scan?series=3`. Where a series is
            chosen, the folders inside are looked into if it does not lie in the folder itself.
        choice: what the volume must have, where there are several.
        dtype: dtype of the values; None = one that holds all of them.

    Raises:
        ImageError: a file is damaged, truncated or must not be read; there is no volume or there are several; slices
            are missing, double, shifted or uneven; or the voxels do not fit into memory.
    """
    chosen, geometry, left_out = _found(path, choice)
    first = chosen.stack.frames[0]
    width = first.storage.allocated // 8
    require_memory(path, Declared(geometry.shape[::-1], 1, width, width))
    with without_warnings_of_pydicom():
        array = read_voxels(chosen.stack.frames, dtype)
    return DicomVolume(array, geometry, first.series.modality, left_out, _localiser(path, chosen))


def read_dicom_geometry(path: Path, choice: Choice = ONLY_ONE) -> Geometry:
    """Geometry of the volume that `read_dicom` reads, from headers alone.

    Raises:
        ImageError: in the cases of `read_dicom` that headers show.
    """
    return _found(path, choice)[1]


def read_dicom_slices(path: Path, choice: Choice = ONLY_ONE) -> tuple[tuple[Frame, ...], Geometry]:
    """Records of the slices of the volume that `read_dicom` reads, in the order of axis z, and its geometry.

    Raises:
        ImageError: in the cases of `read_dicom` that headers show.
    """
    chosen, geometry, _ = _found(path, choice)
    return chosen.stack.frames, geometry


def _found(path: Path, choice: Choice) -> tuple[Chosen, Geometry, str]:
    path, choice = place_and_choice(path, choice)
    sources = chosen_files(path, choice)
    frames: list[Frame] = []
    others = list(sources.others)
    for file in sources.files:
        found = file.slices()
        if isinstance(found, LeftOut):
            others.append(found)
        else:
            frames += found
    if not frames:
        raise ImageError(_nothing(path, others))
    chosen = choose(path, frames, choice)
    geometry = geometry_of(chosen.stack)
    if all(frame.is_scout for frame in chosen.stack.frames) and geometry.spacing[0] > LARGEST_SPACING_MM:
        thick = f"{geometry.spacing[0]:.6g} mm thick"
        raise ImageError(f"{path}: is a localiser, whose slice is {thick}, and shows no volume; give another series")
    require_sound(path, geometry)
    return chosen, geometry, _told(path, [*chosen.left_out, *map(str, others)])


def _localiser(path: Path, chosen: Chosen) -> str:
    frames = chosen.stack.frames
    if not all(frame.is_scout for frame in frames):
        return ""
    slices = f"{len(frames)} slice{'s'[len(frames) == 1 :]}"
    return f"{path} holds only a localiser of {slices}; give the folder of the real series"


def _nothing(path: Path, others: list[LeftOut]) -> str:
    if path.is_dir():
        return f"{path}: no DICOM series in this folder" + (f": {_listed(others)}" if others else "")
    return f"{path}: is {others[0].why}; it is no image of slices"


def _told(path: Path, left_out: list[str]) -> str:
    return f"{path} has parts that are not read: {_listed(left_out)}" if left_out else ""


def _listed(left_out: list[str] | list[LeftOut]) -> str:
    more = f", and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
    return "; ".join(map(str, left_out[:_SHOWN])) + more
