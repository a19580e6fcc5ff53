"""Finds the DICOM slices that an image was read from, with what a segmentation of them must repeat.

In: the path that the image was read from. Out: one record of pydicom for each slice, in the order of the array's axis
z, with its identifiers and its place, and the elements of patient and study. Each frame of a file of many frames counts
as a slice; `Source.refer` puts the file and the number of the frame into what was written.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import MRImageStorage, generate_uid
from pydicom.valuerep import DA, TM, PersonName

from autoseg.errors import ImageError
from autoseg.image.dicom.frame import Frame
from autoseg.image.dicom.header import damage_told, read_header
from autoseg.image.dicom.quiet import without_warnings_of_pydicom
from autoseg.image.dicom.read import read_dicom_slices
from autoseg.image.geometry import Geometry
from autoseg.names import visible

CHARACTERS = "ISO_IR 192"
"""Character set of what is written: UTF-8, since names of classes may be in any script."""

_IDENTIFIERS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
# what a segmentation must have, if only empty, and what else tells the patient and the study
_REPEATED = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"),
    *("StudyTime", "ReferringPhysicianName"),
)
_REPEATED_IF_THERE = (
    *("StudyDescription", "PatientAge", "PatientSize", "PatientWeight", "IssuerOfPatientID"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "PositionReferenceIndicator", "LossyImageCompression"),
)
_SEXES = ("M", "F", "O")
_ADVICE = "export the series again with it, or predict without --format dicom-seg"


@dataclass(frozen=True)
class _Place:
    """Where a slice is stored: class and identifier of its file, and its number in a file of many frames."""

    sop_class: str
    instance: str
    frame: int | None


@dataclass(frozen=True)
class Source:
    """The slices of an image.

    Args:
        slices: a record of each slice, in the order of axis z; each counts as a file of its own.
        series: identifier of their series.
        frame_of_reference: identifier of the space in which they lie.
        geometry: geometry of the image.
        places: where each slice is stored, by the identifier that its record has.
    """

    slices: tuple[Dataset, ...]
    series: str
    frame_of_reference: str
    geometry: Geometry
    places: dict[str, _Place]

    def refer(self, dataset: Dataset) -> None:
        """Replace the identifiers of the records by those of the files, wherever a data set refers to them.

        Args:
            dataset: what was written of the slices, which is changed.
        """
        for element in dataset:
            if element.VR != "SQ":
                continue
            for item in element.value:
                self.refer(item)
                place = self.places.get(str(item.get("ReferencedSOPInstanceUID", "")))
                if place is not None:
                    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = place.sop_class, place.instance
                    if place.frame is not None and "PurposeOfReferenceCodeSequence" in item:
                        item.ReferencedFrameNumber = place.frame
        for keyword in ("SourceImageSequence", "ReferencedInstanceSequence", "ReferencedSOPSequence"):
            if keyword in dataset and all(
                "PurposeOfReferenceCodeSequence" not in item for item in dataset[keyword].value
            ):
                setattr(dataset, keyword, _once(dataset[keyword].value))


def require_source(path: Path) -> None:
    """Refuse an image of which no segmentation can be written.

    Args:
        path: path of an image in DICOM, with or without a choice.

    Raises:
        ImageError: it cannot be read, or lacks an identifier.
    """
    frames, _ = read_dicom_slices(path)
    _about(frames[0].file)
    for frame in frames:
        _require_instance(frame)


def read_source(path: Path) -> Source:
    """Read the slices of an image again, without their voxels.

    Args:
        path: path of an image in DICOM, with or without a choice.

    Raises:
        ImageError: it cannot be read, or lacks an identifier that a segmentation must repeat.
    """
    frames, geometry = read_dicom_slices(path)
    about = _about(frames[0].file)
    classes = {file: _sop_class(file) for file in dict.fromkeys(frame.file for frame in frames)}
    slices, places = [], {}
    for frame in frames:
        one = _slice(frame, frames[0], geometry.spacing[0], about)
        several = frame.storage.frames > 1
        # a file of one slice keeps its identifier; the frames of a file get one each until they are referred to
        identifier = generate_uid() if several or frame.instance in places else frame.instance
        places[identifier] = _Place(classes[frame.file], frame.instance, frame.index + 1 if several else None)
        one.SOPInstanceUID = identifier
        slices.append(one)
    return Source(tuple(slices), str(about.SeriesInstanceUID), str(about.FrameOfReferenceUID), geometry, places)


def _about(file: Path) -> Dataset:
    """Patient, study and identifiers of a file, as text in any script.

    Raises:
        ImageError: it lacks an identifier, or a date or time is none.
    """
    found = _elements(file, (*_IDENTIFIERS, *_REPEATED, *_REPEATED_IF_THERE))
    about = Dataset()
    for keyword in (*_IDENTIFIERS, *_REPEATED, *_REPEATED_IF_THERE):
        value = found.get(keyword)
        # a name of a person keeps the bytes of its file's character set, and text does not
        text = "" if value is None else _name(value) if keyword.endswith("Name") else value
        _require_moment(file, keyword, text)
        if keyword in _IDENTIFIERS and not text:
            raise ImageError(f"{file}: has no {keyword}, which a DICOM SEG must repeat; {_ADVICE}")
        if keyword not in _REPEATED_IF_THERE or text not in ("", None):
            setattr(about, keyword, text)
    if about.PatientSex not in _SEXES:
        about.PatientSex = ""
    return about


def _name(name: object) -> str | PersonName:
    """A person's name as text; a backslash in it makes pydicom take it for several, and highdicom takes one."""
    if isinstance(name, MultiValue):
        return PersonName(visible("\\".join(map(str, name))))
    return visible(str(name))


def _require_moment(file: Path, keyword: str, value: object) -> None:
    """Refuse a date or time that is none, which highdicom refuses only when it writes."""
    kind = DA if keyword.endswith("Date") else TM if keyword.endswith("Time") else None
    if kind is None or not value:
        return
    try:
        kind(str(value))
    except ValueError:
        what = "date" if kind is DA else "time"
        raise ImageError(
            f"{file}: its {keyword} is {visible(str(value))[:40]!r}, which is no {what} that DICOM knows; correct it, "
            "or predict without --format dicom-seg"
        ) from None


def _sop_class(file: Path) -> str:
    header = read_header(file)
    found = str(header.dataset.get("SOPClassUID") or header.media_class)
    if not found:
        raise ImageError(f"{file}: has no SOPClassUID, which a DICOM SEG must repeat; {_ADVICE}")
    return found


def _elements(file: Path, keywords: tuple[str, ...]) -> Dataset:
    """Elements of a file, and the frame of reference, which files of many frames may have too."""
    # refuses what must not be opened
    read_header(file)
    with without_warnings_of_pydicom(), damage_told(file), file.open("rb") as opened:
        wanted = [*keywords, "SpecificCharacterSet"]
        return deepcopy(dcmread(opened, force=True, stop_before_pixels=True, specific_tags=wanted))


def _slice(frame: Frame, first: Frame, distance: float, about: Dataset) -> Dataset:
    """A record of a slice: its own place, and what a volume shares from the first one; voxels have no gap."""
    _require_instance(frame)
    # a copy: data sets share the elements that one takes from the other
    one = deepcopy(about)
    # a class of single slices, which is replaced when the slices are referred to
    one.SOPClassUID = MRImageStorage
    one.Modality = first.series.modality or "OT"
    one.SpecificCharacterSet = CHARACTERS
    one.Rows, one.Columns = first.rows, first.columns
    one.ImagePositionPatient = _decimals(frame.position)
    one.ImageOrientationPatient = _decimals((*first.along_row, *first.along_column))
    one.PixelSpacing = _decimals(first.pixel_spacing)
    one.SliceThickness = one.SpacingBetweenSlices = _decimals([distance])[0]
    return one


def _require_instance(frame: Frame) -> None:
    if not frame.instance:
        raise ImageError(f"{frame.file}: has no SOPInstanceUID, which a DICOM SEG must repeat; {_ADVICE}")


def _decimals(numbers: Iterable[float]) -> list[str]:
    """Decimal strings, which have sixteen characters at most, as near to the numbers as these allow."""
    texts = []
    for number in numbers:
        text = repr(float(number))
        if len(text) > 16:
            text = next(shorter for digits in range(16, 0, -1) if len(shorter := f"{number:.{digits}g}") <= 16)
        texts.append(text)
    return texts


def _once(items: Iterable[Dataset]) -> list[Dataset]:
    """References without those that occur again."""
    return list({str(item.get("ReferencedSOPInstanceUID", i)): item for i, item in enumerate(items)}.values())
