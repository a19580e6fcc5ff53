"""The structured report beside a DICOM SEG, read by pydicom item by item."""

from collections.abc import Iterator
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.autoseg.image.writing import by_hand


def items(dataset: Dataset, meaning: str) -> Iterator[Dataset]:
    """Content items of a name, at any depth."""
    for item in dataset.get("ContentSequence", []):
        names = item.get("ConceptNameCodeSequence")
        if names and names[0].CodeMeaning == meaning:
            yield item
        yield from items(item, meaning)


def number(group: Dataset, meaning: str) -> list[tuple[float, str]]:
    found = [item.MeasuredValueSequence[0] for item in items(group, meaning)]
    return [(float(one.NumericValue), one.MeasurementUnitsCodeSequence[0].CodeValue) for one in found]


def test_the_report_measures_each_class_and_refers_to_its_segment(tmp_path: Path) -> None:
    series = by_hand.shuffled(tmp_path / "series")
    seg, report = map(dcmread, by_hand.write_both(tmp_path, series))
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert report.StudyInstanceUID == seg.StudyInstanceUID and report.PatientID == "p1"
    liver, tumour = items(report, "Measurement Group")
    assert number(liver, "Volume") == [(1.5, "cm3")] and number(liver, "Number of lesions") == []
    assert number(tumour, "Volume") == [(0.25, "cm3")] and number(tumour, "Number of lesions") == [(3, "1")]
    for group, segment in zip((liver, tumour), seg.SegmentSequence, strict=True):
        reference = next(items(group, "Referenced Segment")).ReferencedSOPSequence[0]
        assert reference.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        assert reference.ReferencedSegmentNumber == segment.SegmentNumber
        assert segment.TrackingUID == next(items(group, "Tracking Unique Identifier")).UID
        assert next(items(group, "Tracking Identifier")).TextValue == segment.SegmentLabel
        kind = next(items(group, "Finding")).ConceptCodeSequence[0]
        assert kind.CodeValue == segment.SegmentedPropertyTypeCodeSequence[0].CodeValue
        assert (
            seg.ReferencedSeriesSequence[0].SeriesInstanceUID
            == next(items(group, "Source Series for Segmentation")).UID
        )


def test_its_evidence_names_the_segmentation_and_each_file_once(tmp_path: Path) -> None:
    image = by_hand.multi_frame(tmp_path / "many.dcm", by_hand.slices((0, 1, 0, 0, 0, -1)))
    seg, report = map(dcmread, by_hand.write_both(tmp_path, image))
    evidence = [
        (one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID)
        for keyword in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for study in report.get(keyword, [])
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    ]
    source = dcmread(image)
    expected = [(one.SOPClassUID, one.SOPInstanceUID) for one in (seg, source)]
    assert sorted(evidence) == sorted(expected)
