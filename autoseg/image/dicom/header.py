"""Reads the header of a DICOM file with pydicom, without its voxels.

In: a file that `dicom_file.require_shallow` lets pass. Out: the elements that are used, and where the voxels lie.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from pydicom import dcmread
from pydicom.charset import convert_encodings, default_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from autoseg.errors import ImageError
from autoseg.image.dicom_file import UNDEFINED, Element, file_meta, require_shallow_content
from autoseg.image.disguised import FIRST_BYTES, what_it_is
from autoseg.memory import lacks_memory

_KEYWORDS = (
    *("ImageType", "SOPClassUID", "SOPInstanceUID", "Modality", "SeriesDescription", "AcquisitionDateTime"),
    *("AcquisitionTime", "ContentTime", "SliceThickness", "SpacingBetweenSlices", "EchoTime", "EchoNumbers"),
    *("InversionTime", "TriggerTime", "DiffusionBValue", "ComplexImageComponent", "SeriesInstanceUID", "SeriesNumber"),
    *("AcquisitionNumber", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "StackID"),
    *("TemporalPositionIdentifier", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows"),
    *("Columns", "PixelSpacing", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleIntercept"),
    *("RescaleSlope", "ModalityLUTSequence", "RealWorldValueMappingSequence", "SharedFunctionalGroupsSequence"),
    *("PerFrameFunctionalGroupsSequence", "PatientID", "StudyInstanceUID", "StudyDate", "StudyDescription"),
)
# those of functional groups, which are read whole
_INSIDE_GROUPS = (
    *(
        "EffectiveEchoTime",
        "FrameType",
        "TemporalPositionIndex",
        "TemporalPositionTimeOffset",
        "FrameAcquisitionNumber",
    ),
    *("NominalCardiacTriggerDelayTime", "FrameAcquisitionDateTime", "RealWorldValueSlope", "RealWorldValueIntercept"),
)
TAGS = {name: BaseTag(tag) for name in (*_KEYWORDS, *_INSIDE_GROUPS) if (tag := tag_for_keyword(name)) is not None}
"""Tags of all elements that are used, by keyword."""

_TOP_TAGS: list[BaseTag | int] = [TAGS[keyword] for keyword in _KEYWORDS]
# plain numbers, which are compared sooner than pydicom's tags
_WANTED = frozenset({0x00080005, *(int(TAGS[keyword]) for keyword in _KEYWORDS)})
_SEQUENCES = frozenset(int(tag) for name, tag in TAGS.items() if name.endswith("Sequence"))
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_TYPES_OF_VOXELS = (b"OB", b"OW", b"OF", b"OD", b"UN")
BIG_ENDIAN = str(ExplicitVRBigEndian)


@dataclass(frozen=True)
class PixelPlace:
    """Where the element of the voxels is in its file.

    Args:
        tag: group and element; 0x7FE00010 are whole numbers, the others floating-point numbers.
        offset: place of the first byte of its value.
        length: length of the value in bytes; None where the voxels are compressed.
    """

    tag: int
    offset: int
    length: int | None


@dataclass(frozen=True)
class Header:
    """The header of a DICOM file.

    Args:
        file: path of the file.
        size: size of the file in bytes.
        dataset: elements of `_KEYWORDS` that the file has.
        media_class: SOP class as the file's own header states it; may be empty.
        syntax: identifier of the transfer syntax.
        pixels: where the voxels are; None where the file has none.
    """

    file: Path
    size: int
    dataset: Dataset
    media_class: str
    syntax: str
    pixels: PixelPlace | None


@contextmanager
def damage_told(file: Path, what: str = "it cannot be read as DICOM") -> Iterator[None]:
    """Raise what pydicom, NumPy or a decoder say of a file's content as an error that names the file.

    Args:
        file: path of the file.
        what: what failed, for the message.

    Raises:
        ImageError: the block failed.
    """
    try:
        yield
    # a damaged element makes pydicom and decoders raise nearly any exception
    except Exception as error:
        raise damage(file, error, what) from None


def damage(file: Path, error: Exception, what: str) -> ImageError:
    """The error that names a file, of what pydicom, NumPy or a decoder raised; an `ImageError` as it is.

    Args:
        file: path of the file.
        error: exception that reading the file raised.
        what: what failed, for the message.
    """
    if isinstance(error, ImageError):
        return error
    if isinstance(error, OSError):
        return ImageError(f"{file}: {what} ({error.strerror or error})")
    if lacks_memory(error):
        return ImageError(f"{file}: {what} (it takes more memory than is free; free some)")
    return ImageError(f"{file}: {what}, damaged or truncated; copy it again")


def read_header(file: Path) -> Header:
    """Read the header of a DICOM file.

    Raises:
        ImageError: the file is damaged, or one that must not be opened.
    """
    with (
        damage_told(file),
        file.open("rb") as opened,
        # a map cannot be read beyond its end, whatever length an element declares
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        start = content[:FIRST_BYTES]
        if start[128:132] != b"DICM" and (instead := what_it_is(start)):
            raise ImageError(f"{file}: {instead}")
        elements = require_shallow_content(file, content)
        if elements is None or not _are_plain(elements, len(content)):
            return _parsed(file, content)
        return _picked(file, content, elements)


def _parsed(file: Path, content: mmap.mmap) -> Header:
    """The header as pydicom parses it from the beginning, which goes well with every file."""
    dataset = dcmread(cast(BinaryIO, content), force=True, stop_before_pixels=True, specific_tags=_TOP_TAGS)
    implicit, little = dataset.original_encoding
    pixels = _pixel_place(content, content.tell(), little=little is not False)
    syntax = str(dataset.file_meta.get("TransferSyntaxUID") or "")
    if not syntax:
        plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        syntax = BIG_ENDIAN if little is False else str(plain)
    media_class = str(dataset.file_meta.get("MediaStorageSOPClassUID") or "")
    return Header(file, len(content), dataset, media_class, syntax, pixels)


def _are_plain(elements: Mapping[int, Element], size: int) -> bool:
    """Whether all elements end within the file, and those that are used are no sequences."""
    return all(
        one.length == 0 or (one.start + one.length <= size and not (one.nested or tag in _SEQUENCES))
        if tag in _WANTED
        else tag in _PIXELS or one.length == UNDEFINED or one.start + one.length <= size
        for tag, one in elements.items()
    )


def _picked(file: Path, content: mmap.mmap, elements: Mapping[int, Element]) -> Header:
    """The header from elements whose places are known; pydicom makes their values alone, in a third of the time."""
    raw: dict[BaseTag, DataElement | RawDataElement] = {}
    for tag, one in elements.items():
        if tag in _WANTED and one.length:
            value_type, value = one.value_type.decode() or None, content[one.start : one.start + one.length]
            raw[BaseTag(tag)] = RawDataElement(
                BaseTag(tag), value_type, one.length, value, one.start, value_type is None, True
            )
    dataset = Dataset(raw)
    implicit = not any(one.value_type for one in elements.values())
    letters = dataset.get("SpecificCharacterSet")
    dataset.set_original_encoding(implicit, True, convert_encodings(letters) if letters else default_encoding)
    place = next((one.begin for tag, one in elements.items() if tag in _PIXELS), len(content))
    meta = file_meta(content)
    syntax = meta.syntax.decode() or str(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)
    return Header(
        file, len(content), dataset, meta.media_class.decode(), syntax, _pixel_place(content, place, little=True)
    )


def _pixel_place(content: mmap.mmap, at: int, *, little: bool) -> PixelPlace | None:
    """Where the voxels begin, if the element at `at` holds them.

    Whether the element tells its value type is seen in the bytes: some exporters write otherwise than they declare, and
    pydicom reads such files. A length has another value than these letters, since it is even.
    """
    order = "<" if little else ">"
    if at + 8 > len(content):
        return None
    group, element = struct.unpack_from(order + "HH", content, at)
    tag = group << 16 | element
    if tag not in _PIXELS:
        return None
    tells_type = content[at + 4 : at + 6] in _TYPES_OF_VOXELS
    start = at + (12 if tells_type else 8)
    if start > len(content):
        return None
    length = struct.unpack_from(order + "I", content, start - 4)[0]
    return PixelPlace(tag, start, None if length == UNDEFINED else length)
