"""Makes a structured report (DICOM, template TID 1500) of a prediction: volume of each class, and number of lesions.

Each class has a group of measurements that refers to its segment in the DICOM SEG of the same prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import UID, generate_uid

from autoseg.image.dicom.quiet import without_warnings_of_pydicom
from autoseg.image.writing.dicom_seg import ALGORITHM, REPORT_SERIES, Made, concept, label_of, new_series, not_written
from autoseg.image.writing.dicom_sources import Source
from autoseg.image.writing.segments import NamedSegment

if TYPE_CHECKING:
    from highdicom.sr import VolumetricROIMeasurementsAndQualitativeEvaluations

_LESIONS = Code("246206008", "SCT", "Number of lesions")


@dataclass(frozen=True)
class Measured:
    """What is measured of a class.

    Args:
        volume_ml: its volume in ml.
        lesions: number of its connected components (26 neighbours); None where it is not of lesions.
    """

    volume_ml: float
    lesions: int | None


def make_report(
    source: Source, seg: Made, segments: Sequence[NamedSegment], measured: Sequence[Measured], version: str
) -> Dataset:
    """Make the report of a segmentation.

    Args:
        source: slices of the image.
        seg: segmentation of the image.
        segments: segments of the segmentation, in the order of their numbers.
        measured: what is measured of each of them.
        version: version of autoseg, which the report states as its maker.

    Raises:
        ImageError: what the series states of patient or study cannot be written.
    """
    from highdicom import sr

    device = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=_observer(version), name=ALGORITHM, manufacturer_name=ALGORITHM, model_name=f"{ALGORITHM} {version}"
        ),
    )
    groups = [
        _group(source, seg, one, tracking, found, version)
        for one, tracking, found in zip(segments, seg.tracking, measured, strict=True)
    ]
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=device),
        procedure_reported=codes.SCT.ImagingProcedure,
        imaging_measurements=groups,
    )
    try:
        with without_warnings_of_pydicom():
            report = sr.EnhancedSR(
                evidence=[seg.dataset, *source.slices],
                content=content[0],
                series_number=REPORT_SERIES,
                series_description=f"{ALGORITHM} measurements",
                is_complete=True,
                **new_series(version),
            )
            source.refer(report)
    # highdicom raises nearly any exception where an element of the series is not as the standard wants it
    except Exception as error:
        raise not_written(source, error) from None
    return report


def _group(
    source: Source, seg: Made, segment: NamedSegment, tracking: UID, found: Measured, version: str
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    """The measurements of a class."""
    from highdicom import sr

    measurements = [sr.Measurement(codes.SCT.Volume, round(found.volume_ml, 6), codes.UCUM.CubicCentimeter)]
    if found.lesions is not None:
        measurements.append(sr.Measurement(_LESIONS, found.lesions, codes.UCUM.NoUnits))
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=tracking, identifier=label_of(segment.name)),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=seg.dataset.SOPClassUID,
            sop_instance_uid=seg.dataset.SOPInstanceUID,
            segment_number=segment.number,
            source_series=sr.SourceSeriesForSegmentation(source.series),
        ),
        finding_category=concept(segment.code.category),
        finding_type=concept(segment.code.type),
        algorithm_id=sr.AlgorithmIdentification(name=ALGORITHM, version=version),
        measurements=measurements,
    )


def _observer(version: str) -> UID:
    """Identifier of this version of the program, which observes."""
    return generate_uid(entropy_srcs=[ALGORITHM, version])
