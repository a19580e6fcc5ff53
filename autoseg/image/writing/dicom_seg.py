"""Writes a prediction as DICOM segmentation (SEG) of the series that it was predicted from, with highdicom.

Each frame is one slice of the series, at the slice's own position, and refers to it. Frames without voxels are left
out; a prediction that is empty has all of them. Kinds: BINARY has one bit a voxel and segment, and its segments may
overlap; LABELMAP has one number a voxel; FRACTIONAL has the probability of each segment in 255 steps.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID, generate_uid

from autoseg.errors import ImageError, InputError
from autoseg.files import replaced_when_done
from autoseg.image.dicom.quiet import without_warnings_of_pydicom
from autoseg.image.dicom.seg import INSTALL
from autoseg.image.labels import Labels
from autoseg.image.writing.codes import Coding
from autoseg.image.writing.dicom_sources import CHARACTERS, Source
from autoseg.image.writing.own_dicom import MANUFACTURER
from autoseg.image.writing.segments import NamedSegment
from autoseg.names import visible

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept

SegType = Literal["binary", "labelmap", "fractional"]
SEG_TYPES: tuple[str, ...] = get_args(SegType)
ALGORITHM = MANUFACTURER
SEG_SERIES, REPORT_SERIES = 1001, 1002
"""Numbers of the series of segmentations and of reports, beyond those that scanners give."""

_LONGEST_LABEL = 64
_MARK = 4


@dataclass(frozen=True)
class Made:
    """A segmentation as its report refers to it.

    Args:
        dataset: DICOM SEG, complete and not yet written.
        tracking: tracking identifier of each segment, in their order.
    """

    dataset: Dataset
    tracking: tuple[UID, ...]


def require_highdicom() -> None:
    """Refuse to write DICOM without highdicom.

    Raises:
        InputError: it is not installed.
    """
    try:
        import highdicom  # noqa: F401
    except ImportError:
        raise InputError(f"--format dicom-seg takes the library highdicom: {INSTALL}") from None


def label_of(name: str) -> str:
    """Name of a class as DICOM's Segment Label can hold it: 64 characters without backslash and control characters.

    A name that changes by more than blanks at its ends gets a mark that follows from the whole of it, so that two
    labels stay apart.
    """
    label = visible(re.sub(r"\s+", " ", name).strip().replace("\\", "/"))
    if label == name.strip() and len(label) <= _LONGEST_LABEL:
        return label
    mark = hashlib.sha256(name.encode()).hexdigest()[:_MARK]
    return f"{label[: _LONGEST_LABEL - _MARK - 1]}…{mark}"


def told_labels(segments: Sequence[NamedSegment]) -> tuple[str, ...]:
    """A sentence for each class whose name DICOM cannot hold as it is."""
    differ = [(one.name, label_of(one.name)) for one in segments if label_of(one.name) != one.name]
    return tuple(
        f"The name {visible(name)!r} does not fit into a Segment Label of DICOM ({_LONGEST_LABEL} characters, no "
        f"backslash); the label is {label!r}"
        for name, label in differ
    )


def make_seg(
    source: Source,
    classes: NDArray[np.uint8],
    labels: Labels,
    segments: Sequence[NamedSegment],
    kind: SegType,
    version: str,
    probabilities: NDArray[np.float32] | None = None,
) -> Made:
    """Make a segmentation.

    Args:
        source: slices of the image.
        classes: class indices (z, y, x) on the grid of the image.
        labels: classes and regions of the data set.
        segments: what is written of each of them, from `segments_of`.
        kind: kind of the segmentation.
        version: version of autoseg, which the file states as its maker.
        probabilities: probability (z, y, x, segment), from 0 to 1, for the kind `fractional`.

    Raises:
        ImageError: what the series states of patient, study or place cannot be written.
    """
    from highdicom.seg import Segmentation

    voxels = _voxels(classes, labels, kind, probabilities)
    tracking = tuple(_tracking_uid(source, segment) for segment in segments)
    described = [_description(one, uid, version) for one, uid in zip(segments, tracking, strict=True)]
    try:
        with without_warnings_of_pydicom():
            dataset = Segmentation(
                source_images=source.slices,
                pixel_array=voxels,
                # of an empty prediction every frame is written, since a file has one at least
                omit_empty_frames=bool(voxels.any()),
                segmentation_type=kind.upper(),
                segment_descriptions=described,
                series_number=SEG_SERIES,
                content_label="SEGMENTATION",
                series_description=f"{ALGORITHM} segmentation",
                **new_series(version),
            )
            source.refer(dataset)
    # highdicom raises nearly any exception where an element of the series is not as the standard wants it
    except Exception as error:
        raise not_written(source, error) from None
    return Made(dataset, tracking)


def new_series(version: str) -> dict[str, Any]:
    """What highdicom is told of a series of one file that autoseg writes.

    Args:
        version: version of autoseg, which the file states as its maker.
    """
    return {
        "series_instance_uid": generate_uid(),
        "sop_instance_uid": generate_uid(),
        "instance_number": 1,
        "manufacturer": ALGORITHM,
        "manufacturer_model_name": ALGORITHM,
        "software_versions": version,
        "device_serial_number": "1",
        "specific_character_set": CHARACTERS,
    }


def not_written(source: Source, error: Exception) -> ImageError:
    """The error that says why nothing can be written of a series.

    Args:
        source: slices of the image.
        error: what highdicom or pydicom raised.
    """
    if isinstance(error, MemoryError):
        raise error
    return ImageError(
        f"series {source.series}: no DICOM can be written of it ({type(error).__name__}: {str(error)[:200]}); correct "
        "the series, or predict without --format dicom-seg"
    )


def save(path: Path, dataset: Dataset) -> None:
    """Write a DICOM file, atomically.

    Raises:
        ImageError: writing to the disk fails.
    """
    with replaced_when_done(path) as temporary, without_warnings_of_pydicom():
        try:
            dataset.save_as(temporary, enforce_file_format=True)
        except OSError as error:
            raise ImageError(f"{path}: cannot be written ({error.strerror or error})") from None


def _voxels(
    classes: NDArray[np.uint8], labels: Labels, kind: SegType, probabilities: NDArray[np.float32] | None
) -> NDArray:
    """Numbers of segments (z, y, x), or voxels (z, y, x, segment) where segments may overlap."""
    if kind == "fractional" and probabilities is not None:
        return probabilities
    if labels.overlapping:
        return np.stack([labels.mask(classes, i) for i in range(1, labels.outputs + 1)], axis=-1).astype(np.uint8)
    return np.ascontiguousarray(classes)


def _tracking_uid(source: Source, segment: NamedSegment) -> UID:
    """The same for each prediction of a class of a series; it tells nothing of the patient."""
    return generate_uid(entropy_srcs=[ALGORITHM, source.series, segment.name])


def _description(segment: NamedSegment, tracking: UID, version: str) -> SegmentDescription:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    label = label_of(segment.name)
    described = SegmentDescription(
        segment_number=segment.number,
        segment_label=label,
        segmented_property_category=concept(segment.code.category),
        segmented_property_type=concept(segment.code.type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=ALGORITHM, family=codes.DCM.ArtificialIntelligence, version=version
        ),
        tracking_uid=tracking,
        tracking_id=label,
        display_color=CIELabColor.from_rgb(*segment.colour),
    )
    if label != segment.name:
        # longer than a label may be
        described.SegmentDescription = visible(segment.name)[:1024]
    return described


def concept(coding: Coding) -> CodedConcept:
    """A coded concept as highdicom takes it."""
    from highdicom.sr import CodedConcept

    return CodedConcept(coding.code, coding.scheme, coding.meaning)
