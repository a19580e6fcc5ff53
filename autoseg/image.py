"""Reading and writing of image files; the only place that knows SimpleITK and its axis order.

In: any file SimpleITK reads, or a folder of DICOM slices. Out: `Image`, an array with axes
(channel, z, y, x) and its `Geometry`. SimpleITK orders spacing, size and index as (x, y, z).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from autoseg.errors import ImageError
from autoseg.geometry import Geometry
from autoseg.run_folder import replaced_when_done
from autoseg.stored_voxels import Layout, inspect, is_dicom_file, require_bytes

# DICOM transfer syntaxes that store voxels uncompressed, so that a slice's length can be told
_UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
# NIfTI's numbers for types of voxels: float32 and float64; RGB and RGBA, one number for NIfTI
_NIFTI_FLOATS = ("16", "64")
_NIFTI_COLOURS = ("128", "2304")
# share of the slice distance by which a slice may lie off an even grid; a missing slice moves its
# neighbours by half of it at least
_UNEVEN_SLICES = 0.25


@dataclass(frozen=True)
class Image:
    """Voxels and where they lie.

    Args:
        array: (channel, z, y, x).
        geometry: grid of the last three axes.
    """

    array: NDArray
    geometry: Geometry


def read_image(path: Path) -> Image:
    """Read a file or a folder of DICOM slices as float32, (channel, z, y, x).

    A fourth dimension, or the components of a vector image, become channels.

    Raises:
        ImageError: the file is missing, unreadable, truncated or not three-dimensional.
    """
    image, not_finite = _read(path)
    array = sitk.GetArrayFromImage(image)  # a copy: a view would outlive its image
    if image.GetNumberOfComponentsPerPixel() > 1:
        array = np.moveaxis(array, -1, 0)
    elif image.GetDimension() == 3:
        array = array[None]
    return Image(_restored(np.ascontiguousarray(array, dtype=np.float32), not_finite), _geometry(image))


def read_label(path: Path) -> Image:
    """Read a label map, (1, z, y, x), in the file's own number type (integer or float).

    Raises:
        ImageError: as `read_image`, and where the file has more than one channel.
    """
    image, not_finite = _read(path)
    if image.GetNumberOfComponentsPerPixel() > 1 or (image.GetDimension() == 4 and image.GetSize()[3] > 1):
        raise ImageError(f"{path}: a label map must have one channel")
    array = _restored(sitk.GetArrayFromImage(image), not_finite)
    return Image(array if array.ndim == 4 else array[None], _geometry(image))


def read_geometry(path: Path) -> tuple[Geometry, int]:
    """Geometry and number of channels from the header alone, without reading the voxels.

    Raises:
        ImageError: the file is missing or its header unreadable.
    """
    if Path(path).is_dir():
        return _dicom_geometry(Path(path))
    header = _header(path)
    return _geometry(header), _channels(header)


def write_image(path: Path, image: Image) -> None:
    """Write `image`, (channel, z, y, x), atomically, in the format that the file's ending names.

    Several channels become a vector image.

    Raises:
        ImageError: SimpleITK cannot write that format, or the disk refuses.
    """
    array = image.array[0] if image.array.shape[0] == 1 else np.moveaxis(image.array, 0, -1)
    out = sitk.GetImageFromArray(np.ascontiguousarray(array), isVector=image.array.shape[0] > 1)
    geometry = image.geometry
    out.SetSpacing(geometry.spacing[::-1])
    out.SetOrigin(geometry.origin)
    out.SetDirection(np.asarray(geometry.direction)[::-1].T.ravel().tolist())
    path = Path(path)
    with replaced_when_done(path) as temporary:
        try:
            sitk.WriteImage(out, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise ImageError(f"{path}: cannot be written ({_short(error)})") from None


def resample_onto(image: Image, target: Geometry, *, nearest: bool = False) -> Image:
    """Bring `image` onto another grid, in world coordinates; zero outside. Linear or nearest."""
    interpolator = sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear
    reference = sitk.Image([int(n) for n in target.shape[::-1]], sitk.sitkUInt8)
    reference.SetSpacing(target.spacing[::-1])
    reference.SetOrigin(target.origin)
    reference.SetDirection(np.asarray(target.direction)[::-1].T.ravel().tolist())
    channels = []
    for channel in image.array:
        moving = sitk.GetImageFromArray(np.ascontiguousarray(channel))
        moving.SetSpacing(image.geometry.spacing[::-1])
        moving.SetOrigin(image.geometry.origin)
        moving.SetDirection(np.asarray(image.geometry.direction)[::-1].T.ravel().tolist())
        moved = sitk.Resample(moving, reference, sitk.Transform(), interpolator, 0.0)
        channels.append(sitk.GetArrayFromImage(moved))
    return Image(np.stack(channels), target)


def _read(path: Path) -> tuple[sitk.Image, NDArray[np.bool_] | None]:
    """The image, and for each voxel whether it is NaN or infinite in the file; None where all are finite."""
    _require(path)
    try:
        if Path(path).is_dir():
            return _read_dicom_folder(Path(path)), None
        image = sitk.ReadImage(str(path))
    except (RuntimeError, MemoryError) as error:
        raise ImageError(f"{path}: cannot be read as an image ({_short(error)})") from None
    not_finite = inspect(Path(path), _layout(image))
    if image.GetDimension() == 2:
        image = sitk.JoinSeries(image)
    if image.GetDimension() not in (3, 4):
        raise ImageError(f"{path}: has {image.GetDimension()} dimensions, expected 3 (or 4 with channels)")
    return image, not_finite


def _restored(array: NDArray, not_finite: NDArray[np.bool_] | None) -> NDArray:
    """`array`, contiguous, with NaN where the file holds numbers that ITK replaced by zeros."""
    if not_finite is not None:
        array.reshape(-1)[not_finite] = np.nan
    return array


def _header(path: Path) -> sitk.ImageFileReader:
    _require(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise ImageError(f"{path}: cannot be read as an image ({_short(error)})") from None
    return reader


def _dicom_geometry(folder: Path) -> tuple[Geometry, int]:
    """Geometry of evenly spaced slices, and number of channels, from the headers of the first and last one."""
    slices = _dicom_slices(folder)
    header, last = _header(Path(slices[0])), _header(Path(slices[-1]))
    first = _geometry(header)
    if len(slices) == 1:
        return first, _channels(header)
    (_, rows, columns), (_, y, x) = first.shape, first.spacing
    z = float(np.linalg.norm(np.subtract(_geometry(last).origin, first.origin))) / (len(slices) - 1)
    return Geometry((len(slices), rows, columns), (z, y, x), first.origin, first.direction), _channels(header)


def _dicom_slices(folder: Path) -> tuple[str, ...]:
    """The files of the one series in a folder, in the order of their positions."""
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise ImageError(f"{folder}: no DICOM series in this folder")
    if len(series) > 1:
        raise ImageError(f"{folder}: holds {len(series)} DICOM series; give each its own folder")
    return tuple(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0]))


def _read_dicom_folder(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(_dicom_slices(folder))
    _require_complete(folder, reader.GetFileNames())
    reader.MetaDataDictionaryArrayUpdateOn()
    image = reader.Execute()
    _require_whole_slices(reader, image)
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
        if _tag(reader, i, "0002|0010") in _UNCOMPRESSED and (bits := _tag(reader, i, "0028|0100")):
            require_bytes(Path(file), Path(file).stat().st_size, pixels * int(bits) // 8)


def _require_even_slices(folder: Path, reader: sitk.ImageSeriesReader, image: sitk.Image) -> None:
    """Refuse a series with a slice missing or double, since ITK spreads the others evenly over the gap."""
    texts = [_tag(reader, i, "0020|0032") for i in range(len(reader.GetFileNames()))]
    if len(texts) < 3 or not all(texts):
        return
    positions = np.array([[float(number) for number in text.split("\\")] for text in texts])
    along = np.linalg.norm(positions - positions[0], axis=1)
    step = along[-1] / (len(along) - 1)
    off = np.abs(along - step * np.arange(len(along)))
    if off.max() > _UNEVEN_SLICES * step:
        where = int(np.abs(np.diff(along) - np.median(np.diff(along))).argmax())
        raise ImageError(
            f"{folder}: its DICOM slices are not evenly spaced: one is missing or double after slice {where + 1} of "
            f"{len(along)} (gap {np.diff(along)[where]:.2f} mm, otherwise {np.median(np.diff(along)):.2f} mm)"
        )


def _tag(reader: sitk.ImageSeriesReader, i: int, tag: str) -> str:
    return str(reader.GetMetaData(i, tag)).strip(" \0") if reader.HasMetaDataKey(i, tag) else ""


def _layout(image: sitk.Image) -> Layout:
    """How the voxels lie in the file; NIfTI says itself how wide its numbers are."""
    components = image.GetNumberOfComponentsPerPixel()
    if not (image.HasMetaDataKey("bitpix") and image.HasMetaDataKey("vox_offset")):
        return Layout(0, image.GetNumberOfPixels() * components, image.GetSizeOfPixelComponent())
    kind = image.GetMetaData("datatype")
    return Layout(
        offset=int(float(image.GetMetaData("vox_offset"))),
        voxels=image.GetNumberOfPixels() * (1 if kind in _NIFTI_COLOURS else components),
        width=int(image.GetMetaData("bitpix")) // 8,
        floating=kind in _NIFTI_FLOATS,
    )


def _require(path: Path) -> None:
    if not Path(path).exists():
        raise ImageError(f"{path}: does not exist")


def _channels(header: sitk.ImageFileReader) -> int:
    size = header.GetSize()
    return int(size[3]) if len(size) == 4 else int(header.GetNumberOfComponents())


def _geometry(image: sitk.Image | sitk.ImageFileReader) -> Geometry:
    """Geometry of the first three dimensions; a 2D header counts as one slice of 1 mm."""
    n = image.GetDimension()
    size, spacing, origin = list(image.GetSize()), list(image.GetSpacing()), list(image.GetOrigin())
    columns = np.asarray(image.GetDirection(), dtype=float).reshape(n, n)
    if n == 2:
        size, spacing, origin = [*size, 1], [*spacing, 1.0], [*origin, 0.0]
        columns = np.block([[columns, np.zeros((2, 1))], [np.zeros((1, 2)), np.ones((1, 1))]])
    rows = columns[:3, :3].T[::-1]
    return Geometry(
        shape=(int(size[2]), int(size[1]), int(size[0])),
        spacing=(float(spacing[2]), float(spacing[1]), float(spacing[0])),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        direction=tuple((float(r[0]), float(r[1]), float(r[2])) for r in rows),
    )


def _short(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "it asks for more memory than there is"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1].removeprefix("sitk::ERROR: ") if lines else "unknown reason"
    if reason.startswith("Unable to determine ImageIO reader"):
        return "damaged, empty, or in a format that SimpleITK does not know"
    # the MetaImage reader gives the last error of the system as its reason, whatever that was
    return "damaged or truncated" if reason == "Reason: No such file or directory" else reason
