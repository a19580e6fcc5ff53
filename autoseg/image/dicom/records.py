"""Makes a record of every frame of a DICOM file, single or multi-frame, or says what the file is instead.

A multi-frame file has its values in functional groups (PS3.3, C.7.6.16): those of the frame come before those that all
frames share, and before the elements of the file itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import UID

from autoseg.errors import ImageError
from autoseg.image.declared_size import Declared, require_contained
from autoseg.image.dicom.elements import Elements
from autoseg.image.dicom.frame import Frame, Series, Storage, Vector
from autoseg.image.dicom.header import Header, damage_told
from autoseg.image.dicom.objects import is_slice_class, kind_of, never_a_slice
from autoseg.image.dicom.voxels import DECODED
from autoseg.image.dicom_file import UNCOMPRESSED
from autoseg.image.integrity import require_bytes
from autoseg.image.walk import LeftOut

_WHOLE_NUMBERS = 0x7FE00010
_GROUPS = (
    *("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "FrameContentSequence"),
    *("PixelValueTransformationSequence", "RealWorldValueMappingSequence", "MREchoSequence", "MRDiffusionSequence"),
    *("CardiacSynchronizationSequence", "MRImageFrameTypeSequence", "CTImageFrameTypeSequence"),
    *("PETFrameTypeSequence", "TemporalPositionSequence"),
)
# what may tell copies of a slice apart in time: elements, and words for them
_TIMES = (
    (("TemporalPositionIndex", "TemporalPositionIdentifier", "TemporalPositionTimeOffset"), "temporal position"),
    (("NominalCardiacTriggerDelayTime", "TriggerTime"), "trigger time"),
    (("FrameAcquisitionDateTime", "AcquisitionDateTime"), "acquisition date and time"),
    (("AcquisitionTime",), "acquisition time"),
    (("ContentTime",), "content time"),
    (("FrameAcquisitionNumber", "AcquisitionNumber"), "acquisition number"),
    (("InstanceNumber",), "instance number"),
)
_GEOMETRY = (
    ("ImagePositionPatient", "Image Position (Patient)", 3),
    ("ImageOrientationPatient", "Image Orientation (Patient)", 6),
    ("PixelSpacing", "Pixel Spacing", 2),
)
# cosines that were rounded to few digits are off by 1e-3
_LENGTH_TOLERANCE = 0.02
_ALLOCATED = (8, 16, 32, 64)
FARTHEST_MM = 1e9
"""No scanner gives a slice a place so far away."""

MOST_PIXELS, MOST_FRAMES = 65_535, 1_000_000
"""Rows and columns are numbers of two bytes; no scanner makes a file of so many frames."""


def records_of(header: Header, series: Series) -> tuple[Frame, ...] | LeftOut:
    """Records of all frames of a file, or what the file is instead.

    Args:
        header: header of the file.
        series: its series, from `series_of`.

    Raises:
        ImageError: the file is damaged or truncated, or its frames cannot be placed or scaled.
    """
    file, top = header.file, Elements(header.file, [header.dataset])
    sop_class = top.text("SOPClassUID") or header.media_class
    if sop_class and not UID(sop_class).is_valid:
        raise ImageError(f"{file}: its SOP Class UID {sop_class!r:.60} is damaged; copy it again")
    if never_a_slice(sop_class):
        return LeftOut(file, kind_of(sop_class))
    if header.pixels is None:
        if is_slice_class(sop_class):
            raise ImageError(f"{file}: damaged or truncated, its voxels are missing; copy it again")
        if not sop_class and "Rows" not in header.dataset:
            raise ImageError(f"{file}: cannot be read as a DICOM slice, damaged or truncated; copy it again")
        return LeftOut(file, kind_of(sop_class))
    if header.pixels.tag != _WHOLE_NUMBERS:
        return LeftOut(file, "an image of floating-point voxels; export it as NIfTI")
    if top.whole("SamplesPerPixel", 1) != 1 or "PALETTE" in top.text("PhotometricInterpretation"):
        return LeftOut(file, f"a picture in colour ({kind_of(sop_class, '') or 'no slice of a scanner'})")
    frames = top.whole("NumberOfFrames", 1)
    with damage_told(file, "its functional groups cannot be read"):
        several = header.dataset.get("PerFrameFunctionalGroupsSequence")
    elements = list(_elements_of_frames(header, frames)) if several else [top]
    if not several and frames > 1:
        if is_slice_class(sop_class):
            # a number of frames that the file does not hold is damage, and no other kind of image
            _storage(header, top)
        return LeftOut(file, f"{kind_of(sop_class)} of {frames} frames without a position for each")
    lacking = _lacking(elements)
    if lacking and (not is_slice_class(sop_class) or "SECONDARY" in top.text("ImageType").upper().split("\\")):
        return LeftOut(file, f"{kind_of(sop_class)} without {lacking}, so that its place is not known")
    if lacking:
        raise ImageError(f"{file}: has no {lacking}, so that its place is not known; export it again with it")
    storage = _storage(header, top)
    return tuple(_frame(header, found, i, storage, series) for i, found in enumerate(elements))


def series_of(header: Header) -> Series:
    """The series of a file.

    Raises:
        ImageError: an element that tells it is damaged.
    """
    text = Elements(header.file, [header.dataset]).text
    return Series(
        uid=text("SeriesInstanceUID"),
        number=text("SeriesNumber"),
        description=text("SeriesDescription"),
        modality=text("Modality").upper(),
        study=text("StudyInstanceUID"),
        study_date=text("StudyDate"),
        study_description=text("StudyDescription"),
        patient=text("PatientID"),
    )


def _lacking(elements: Sequence[Elements]) -> str:
    """The first element of a slice's geometry that a frame lacks; empty where none does."""
    for keyword, name, _ in _GEOMETRY:
        if any(found.find(keyword) is None for found in elements):
            return name
    return ""


def _storage(header: Header, top: Elements) -> Storage:
    """How the voxels are stored, if the file holds as many as it declares."""
    file, pixels = header.file, header.pixels
    assert pixels is not None
    rows, columns, frames = top.whole("Rows", 0), top.whole("Columns", 0), top.whole("NumberOfFrames", 1)
    allocated = top.whole("BitsAllocated", 0)
    stored = top.whole("BitsStored", allocated)
    if not (1 <= rows <= MOST_PIXELS and 1 <= columns <= MOST_PIXELS and 1 <= frames <= MOST_FRAMES):
        raise ImageError(f"{file}: its header declares {columns} × {rows} voxels in {frames} frames; copy it again")
    if allocated not in _ALLOCATED or not 1 <= stored <= allocated:
        raise ImageError(
            f"{file}: its voxels have {stored} of {allocated} bits, which is not read; export it again with 8, 16 or 32"
        )
    if top.whole("HighBit", stored - 1) != stored - 1:
        raise ImageError(
            f"{file}: its voxels are not in the lowest bits (High Bit), which is not read; export it again"
        )
    declared = Declared((columns, rows, frames), 1, allocated // 8, allocated // 8)
    if header.syntax not in UNCOMPRESSED:
        if header.syntax not in DECODED:
            name = UID(header.syntax).name
            raise ImageError(
                f"{file}: its voxels are compressed in a way that is not read ({name}); decompress it, for example by "
                "`gdcmconv --raw OLD NEW` or `dcmdjpeg OLD NEW`, or export it uncompressed"
            )
        # each frame has a fragment, which takes eight bytes at least
        require_bytes(file, header.size, pixels.offset + 8 * frames)
        require_contained(file, declared, [file], "compressed")
    else:
        length = declared.values * declared.stored_width
        require_bytes(file, header.size, pixels.offset + length)
        if pixels.length is None:
            raise ImageError(
                f"{file}: its voxels are compressed, but its transfer syntax says that they are not; export it again"
            )
        if pixels.length < length:
            raise ImageError(f"{file}: truncated, holds {pixels.length} of {length} bytes of voxels; copy it again")
    signed = top.whole("PixelRepresentation", 0) == 1
    return Storage(header.syntax, pixels.offset, frames, allocated, stored, signed)


def _elements_of_frames(header: Header, frames: int) -> Iterator[Elements]:
    """The elements of each frame of a multi-frame file."""
    file, dataset = header.file, header.dataset
    with damage_told(file, "its functional groups cannot be read"):
        own = list(dataset.PerFrameFunctionalGroupsSequence)
        shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])
    if len(own) != frames:
        raise ImageError(
            f"{file}: damaged, it declares {frames} frames and describes {len(own)}; copy or export it again"
        )
    for one in own:
        with damage_told(file, "its functional groups cannot be read"):
            groups = [*_items(one), *(item for group in shared for item in _items(group))]
        yield Elements(file, [*groups, dataset])


def _items(group: Dataset) -> Iterator[Dataset]:
    """The first item of each functional group that is used."""
    for keyword in _GROUPS:
        if keyword in group and (sequence := group.get(keyword)):
            # the mapping stays a sequence, since its elements have the names of others
            yield group if keyword == "RealWorldValueMappingSequence" else sequence[0]


def _frame(header: Header, elements: Elements, index: int, storage: Storage, series: Series) -> Frame:
    position, cosines, spacing = (elements.numbers(*element) for element in _GEOMETRY)
    assert position is not None and cosines is not None and spacing is not None
    if max(map(abs, position)) > FARTHEST_MM:
        raise ImageError(f"{header.file}: its position {position} is no place in a scanner; copy or export it again")
    if min(spacing) <= 0:
        told = " ".join(f"{number:g}" for number in spacing)
        raise ImageError(f"{header.file}: its Pixel Spacing {told} is no size of a pixel; copy or export it again")
    along_row, along_column = _unit_vectors(header.file, cosines)
    image_type = elements.text("FrameType") or elements.text("ImageType")
    component = elements.text("ComplexImageComponent")
    image_type += "\\" + component if component and component not in image_type.split("\\") else ""
    words = image_type.upper().split("\\")
    scale = _scale(header.file, elements)
    slope, intercept = scale or (1.0, 0.0)
    return Frame(
        file=header.file,
        index=index,
        rows=elements.whole("Rows", 0),
        columns=elements.whole("Columns", 0),
        position=(position[0], position[1], position[2]),
        along_row=along_row,
        along_column=along_column,
        pixel_spacing=(spacing[0], spacing[1]),
        thickness=_thickness(elements),
        slope=slope,
        intercept=intercept,
        is_scaled=scale is not None,
        is_inverted=elements.text("PhotometricInterpretation") == "MONOCHROME1",
        storage=storage,
        series=series,
        instance=elements.text("SOPInstanceUID"),
        is_scout="LOCALIZER" in words,
        is_mosaic="MOSAIC" in words,
        stack=elements.text("StackID"),
        image_type=image_type,
        echo=elements.first_number("EffectiveEchoTime", "EchoTime"),
        b_value=elements.number("DiffusionBValue"),
        inversion=elements.first_number("InversionTime"),
        times=_times(elements),
    )


def _unit_vectors(file: Path, cosines: Sequence[float]) -> tuple[Vector, Vector]:
    """Directions of rows and columns, of length 1."""
    row, column = cosines[:3], cosines[3:]
    lengths = math.hypot(*row), math.hypot(*column)
    across = abs(sum(a * b for a, b in zip(row, column, strict=True)))
    if any(abs(length - 1) > _LENGTH_TOLERANCE for length in lengths) or across > _LENGTH_TOLERANCE:
        told = " ".join(f"{number:g}" for number in cosines)
        raise ImageError(
            f"{file}: its Image Orientation (Patient) {told} is no pair of perpendicular directions; copy it again"
        )
    (a, b, c), (d, e, f) = ([n / length for n in axis] for axis, length in zip((row, column), lengths, strict=True))
    return (a, b, c), (d, e, f)


def _thickness(elements: Elements) -> float | None:
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        # nuclear medicine gives a direction by the sign
        if found := elements.number(keyword):
            return abs(found)
    return None


def _scale(file: Path, elements: Elements) -> tuple[float, float] | None:
    """Slope and intercept: of Rescale where there is one, else of the mapping to real-world values; None without."""
    if elements.find("ModalityLUTSequence"):
        raise ImageError(
            f"{file}: its values are given by a table (Modality LUT Sequence), which is not read; export it again "
            "with Rescale Slope and Intercept"
        )
    slope, intercept = elements.number("RescaleSlope"), elements.number("RescaleIntercept")
    mapping = elements.find("RealWorldValueMappingSequence")
    if slope is None and intercept is None and mapping:
        with damage_told(file, "its mapping to real-world values cannot be read"):
            inside = Elements(file, [mapping[0]])  # type: ignore[index]
        slope, intercept = inside.number("RealWorldValueSlope"), inside.number("RealWorldValueIntercept")
        if slope is None:
            raise ImageError(
                f"{file}: its mapping to real-world values has no slope but perhaps a table, which is not read; export "
                "it again with Rescale Slope and Intercept"
            )
    if slope is None and intercept is None:
        return None
    slope, intercept = 1.0 if slope is None else slope, 0.0 if intercept is None else intercept
    if slope == 0:
        raise ImageError(f"{file}: its Rescale Slope is 0, which makes all voxels equal; export it again")
    return slope, intercept


def _times(elements: Elements) -> tuple[tuple[str, float | str], ...]:
    found: list[tuple[str, float | str]] = []
    for keywords, name in _TIMES:
        for keyword in keywords:
            if (value := elements.find(keyword)) is not None:
                found.append((name, float(value) if isinstance(value, (int, float)) else str(value)))
                break
    return tuple(found)
