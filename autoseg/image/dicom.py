"""Reading of a folder of DICOM slices as one image; damaged or missing slices and several series are refused.

GDCM puts the slices in the order of their positions. The result is a SimpleITK image, whose axes (x, y, z) the
module `image` reverses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from autoseg.errors import ImageError
from autoseg.image.dicom_file import UNCOMPRESSED, require_shallow
from autoseg.image.file_kind import require_readable
from autoseg.image.image_header import geometry_of, read_header, require_possible, require_sound
from autoseg.image.integrity import is_dicom_file, require_bytes

# largest deviation of a slice from an even grid, as a share of the slice distance; a missing slice moves its
# neighbours by at least half of that distance
_UNEVEN_SLICES = 0.25


def slices_of(folder: Path) -> tuple[str, ...]:
    """Return the files of the only series in a folder, in the order of the slices' positions.

    Raises:
        ImageError: the folder holds no series, or more than one, or an entry that cannot be read or must not be given
            to GDCM.
    """
    files = 0
    for entry in sorted(folder.iterdir()):
        # GDCM opens every entry of a folder, also hidden ones, and would wait at a named pipe for ever
        require_readable(entry)
        if entry.is_file():
            require_shallow(entry)
            files += 1
    # without an identifier these are the slices of the first series; if they are all files, there is no other
    slices = tuple(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    if slices and len(slices) == files:
        return slices
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise ImageError(f"{folder}: no DICOM series in this folder")
    if len(series) > 1:
        raise ImageError(f"{folder}: holds {len(series)} DICOM series; give each its own folder")
    return tuple(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0]))


def read_series(folder: Path) -> sitk.Image:
    """Read the only series in a folder.

    Raises:
        ImageError: the folder holds no series or more than one, a slice is damaged, missing or double, or the
            slices are shifted against each other.
    """
    slices = slices_of(folder)
    require_possible(Path(slices[0]), read_header(Path(slices[0])), copies=len(slices))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(slices)
    _require_complete(folder, reader.GetFileNames())
    reader.MetaDataDictionaryArrayUpdateOn()
    image = reader.Execute()
    _require_whole_slices(reader, image)
    require_sound(folder, geometry_of(image))
    _require_even_slices(folder, reader, image)
    return image


def _require_complete(folder: Path, slices: Sequence[str]) -> None:
    """Refuse a folder with a DICOM file that GDCM left out of the series because it cannot read it."""
    known = {Path(name).name for name in slices}
    for file in sorted(folder.iterdir()):
        hidden = file.name.startswith(".") or file.name.upper() == "DICOMDIR"
        if file.is_file() and not hidden and file.name not in known and is_dicom_file(file):
            raise ImageError(f"{file}: cannot be read as a DICOM slice, damaged or truncated; copy it again")


def _require_whole_slices(reader: sitk.ImageSeriesReader, image: sitk.Image) -> None:
    pixels = image.GetSize()[0] * image.GetSize()[1]
    for i, file in enumerate(reader.GetFileNames()):
        bits = _tag(reader, i, "0028|0100")
        if _tag(reader, i, "0002|0010") in UNCOMPRESSED and bits.isdecimal():
            require_bytes(Path(file), Path(file).stat().st_size, pixels * int(bits) // 8)


def _require_even_slices(folder: Path, reader: sitk.ImageSeriesReader, image: sitk.Image) -> None:
    """Refuse a series with a missing or double slice, since ITK would space the others evenly over the gap."""
    texts = [_tag(reader, i, "0020|0032") for i in range(len(reader.GetFileNames()))]
    if len(texts) < 3 or not all(texts):
        return
    positions = np.array([_position(file, text) for file, text in zip(reader.GetFileNames(), texts, strict=True)])
    along = np.linalg.norm(positions - positions[0], axis=1)
    step = along[-1] / (len(along) - 1)
    off = np.abs(along - step * np.arange(len(along)))
    if off.max() > _UNEVEN_SLICES * step:
        where = int(np.abs(np.diff(along) - np.median(np.diff(along))).argmax())
        raise ImageError(
            f"{folder}: its DICOM slices are not evenly spaced: one is missing or double after slice {where + 1} of "
            f"{len(along)} (gap {np.diff(along)[where]:.2f} mm, otherwise {np.median(np.diff(along)):.2f} mm)"
        )
    _require_upright_stack(folder, positions, image)


def _require_upright_stack(folder: Path, positions: NDArray[np.float64], image: sitk.Image) -> None:
    """Refuse slices that are shifted against each other, as with a tilted gantry, since ITK ignores the shift."""
    normal = np.reshape(image.GetDirection(), (3, 3))[:, 2]
    through = positions[-1] - positions[0]
    shift = float(np.linalg.norm(through - (through @ normal) * normal))
    if shift > max(image.GetSpacing()[:2]):
        raise ImageError(
            f"{folder}: its DICOM slices are shifted against each other by {shift:.1f} mm in all, as with a tilted "
            "gantry; convert the series with a tool that corrects the tilt, such as dcm2niix"
        )


def _position(file: str, text: str) -> list[float]:
    """Position (x, y, z) in mm of a slice, from the text of its tag."""
    try:
        x, y, z = (float(number) for number in text.split("\\"))
    except ValueError:
        x = y = z = math.nan
    if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(z)):
        raise ImageError(f"{file}: its position {text!r:.60} (Image Position Patient) is damaged; copy it again")
    return [x, y, z]


def _tag(reader: sitk.ImageSeriesReader, i: int, tag: str) -> str:
    return str(reader.GetMetaData(i, tag)).strip(" \0") if reader.HasMetaDataKey(i, tag) else ""
