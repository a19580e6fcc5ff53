"""Reads the voxels of frames, and scales each by its own slope and intercept.

Uncompressed voxels are read straight from the file. Others are decoded by pydicom, and where it has no decoder, by GDCM
through SimpleITK, which is given nothing but the compressed frame and its size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import DTypeLike, NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import iter_pixels
from pydicom.uid import UID, SecondaryCaptureImageStorage

from autoseg.disk.leftovers import passing_folder
from autoseg.errors import ImageError
from autoseg.image.dicom.frame import Frame, Storage
from autoseg.image.dicom.header import BIG_ENDIAN, damage_told
from autoseg.image.dicom_file import UNCOMPRESSED

DECODED = (
    *("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"),
    *("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"),
    "1.2.840.10008.1.2.5",
)
"""Transfer syntaxes that are decoded: JPEG, JPEG lossless, JPEG-LS, JPEG 2000, and run lengths."""

# float32 holds all whole numbers up to this
_EXACT = 2**24
# the elements that tell a decoder what it decodes, and the voxels
_DECODING: list[str] = [
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "ExtendedOffsetTable"),
    *("ExtendedOffsetTableLengths", "PixelData"),
]
_INTEGERS = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64)


def read_voxels(frames: Sequence[Frame], dtype: DTypeLike | None = None) -> NDArray:
    """Read the voxels of frames of one size, scaled.

    Args:
        frames: frames of a volume, in order.
        dtype: dtype of the result; None = one that holds all values: an integer where all slopes and intercepts are
            whole numbers, else float32, or float64 where voxels have 32 bits and more.

    Returns:
        Values (z, y, x).

    Raises:
        ImageError: a file is truncated, or its voxels cannot be decoded.
    """
    out = np.empty((len(frames), frames[0].rows, frames[0].columns), dtype or _dtype_for(frames))
    places: dict[Path, list[int]] = {}
    for z, frame in enumerate(frames):
        places.setdefault(frame.file, []).append(z)
    for file, slices in places.items():
        inside = [frames[z] for z in slices]
        for z, frame, stored in zip(slices, inside, _stored(file, inside), strict=True):
            _scale(stored, frame.slope, frame.intercept, out[z])
    return out


def _dtype_for(frames: Sequence[Frame]) -> type[np.generic]:
    """A dtype that holds every value that the frames can have."""
    scales = {(frame.slope, frame.intercept, frame.storage) for frame in frames}
    if all(slope.is_integer() and intercept.is_integer() for slope, intercept, _ in scales):
        values = [int(slope) * end + int(intercept) for slope, intercept, kind in scales for end in _range(kind)]
        for integer in _INTEGERS:
            if np.iinfo(integer).min <= min(values) and max(values) <= np.iinfo(integer).max:
                return integer
    return np.float32 if all(kind.allocated <= 16 for _, _, kind in scales) else np.float64


def _range(storage: Storage) -> tuple[int, int]:
    """Lowest and highest stored value; a decoder may give more bits than the header states."""
    bits = storage.stored if storage.syntax in UNCOMPRESSED else storage.allocated
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if storage.signed else (0, (1 << bits) - 1)


def _scale(stored: NDArray, slope: float, intercept: float, out: NDArray) -> None:
    """Write `stored * slope + intercept` to `out`; whole numbers stay exact."""
    whole = slope.is_integer() and intercept.is_integer() and max(abs(slope), abs(intercept)) < _EXACT
    with np.errstate(over="ignore", invalid="ignore"):
        if slope == 1 and intercept == 0:
            out[...] = stored
        elif whole and slope == 1 and stored.itemsize <= 2 and out.dtype == np.float32:
            np.add(stored, np.float32(intercept), out=out, dtype=np.float32)
        elif whole and stored.itemsize <= 4:
            out[...] = stored.astype(np.int64) * int(slope) + int(intercept)
        else:
            out[...] = stored * np.float64(slope) + intercept


def _stored(file: Path, frames: Sequence[Frame]) -> Iterator[NDArray]:
    """Stored values (y, x) of frames of one file; each is valid until the next is asked for."""
    storage = frames[0].storage
    swapped_in_pairs = storage.syntax == BIG_ENDIAN and storage.allocated == 8
    if storage.syntax in UNCOMPRESSED and not swapped_in_pairs:
        yield from _uncompressed(file, frames)
    else:
        yield from _decoded(file, frames)


def _uncompressed(file: Path, frames: Sequence[Frame]) -> Iterator[NDArray]:
    storage = frames[0].storage
    order = ">" if storage.syntax == BIG_ENDIAN else "<"
    values = np.empty((frames[0].rows, frames[0].columns), f"{order}{_letter(storage)}{storage.allocated // 8}")
    unused = storage.allocated - storage.stored
    with file.open("rb") as opened:
        for frame in frames:
            opened.seek(storage.offset + frame.index * values.nbytes)
            if opened.readinto(values.data) != values.nbytes:
                raise ImageError(f"{file}: truncated while it was read; copy it again")
            if unused:
                # bits above those that are used may hold anything, and the sign is that of the used ones
                np.left_shift(values, unused, out=values)
                np.right_shift(values, unused, out=values)
            yield values


def _letter(storage: Storage) -> str:
    return "i" if storage.signed else "u"


def _decoded(file: Path, frames: Sequence[Frame]) -> Iterator[NDArray]:
    with damage_told(file), file.open("rb") as opened:
        dataset = dcmread(opened, force=True, specific_tags=_DECODING)
    dataset.file_meta.TransferSyntaxUID = UID(frames[0].storage.syntax)
    size = frames[0].rows, frames[0].columns
    try:
        pixels = list(iter_pixels(dataset, indices=[frame.index for frame in frames], raw=True))
    # pydicom raises nearly any exception where it has no decoder, or one that cannot read this kind
    except Exception:
        pixels = [_by_gdcm(file, dataset, frame) for frame in frames]
    for values in pixels:
        if values.shape != size:
            raise ImageError(
                f"{file}: its compressed voxels are {values.shape[::-1]}, its header declares {size[::-1]}; copy it "
                "again"
            )
    yield from pixels


def _by_gdcm(file: Path, dataset: Dataset, frame: Frame) -> NDArray:
    """Decode one frame with GDCM, from a file that holds nothing else."""
    storage = frame.storage
    alone = Dataset()
    alone.file_meta = FileMetaDataset()
    alone.file_meta.TransferSyntaxUID = UID(storage.syntax)
    alone.file_meta.MediaStorageSOPClassUID = alone.SOPClassUID = SecondaryCaptureImageStorage
    alone.file_meta.MediaStorageSOPInstanceUID = alone.SOPInstanceUID = UID("1.2.3")
    alone.SamplesPerPixel, alone.PhotometricInterpretation = 1, "MONOCHROME2"
    alone.Rows, alone.Columns = frame.rows, frame.columns
    alone.BitsAllocated, alone.BitsStored, alone.HighBit = storage.allocated, storage.stored, storage.stored - 1
    alone.PixelRepresentation = int(storage.signed)
    what = f"its voxels cannot be decoded (transfer syntax {storage.syntax})"
    with damage_told(file, what), passing_folder() as folder:
        alone.PixelData = encapsulate([get_frame(dataset.PixelData, frame.index, number_of_frames=storage.frames)])
        path = folder / "frame.dcm"
        alone.save_as(path, enforce_file_format=True)
        image = sitk.ReadImage(str(path), imageIO="GDCMImageIO")
        values = sitk.GetArrayFromImage(image)
        return values.reshape(values.shape[-2:]) if values.size == frame.rows * frame.columns else values
