"""DICOM SEG of a prediction: read by pydicom by hand, by autoseg's own reader, and judged by dciodvfy."""

import shutil
import subprocess
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from pydicom import DataElement, dcmread
from pydicom.config import IGNORE

from autoseg.dataset.lattice import padded_onto
from autoseg.errors import ImageError
from autoseg.image.image import read_geometry, read_image
from autoseg.image.label_file import read_labels
from autoseg.image.labels import LabelRegion, Labels
from autoseg.image.writing.codes import code_table
from autoseg.image.writing.dicom_seg import label_of, make_seg, save, told_labels
from autoseg.image.writing.dicom_sources import read_source, require_source
from autoseg.image.writing.segments import segments_of
from tests.autoseg.image.dicom import write
from tests.autoseg.image.writing import by_hand
from tests.autoseg.image.writing.by_hand import CLASSES, LABELS, frames_of

AXES = [tuple(int(sign) * int(i == axis) for i in range(3)) for axis in range(3) for sign in (1, -1)]
ALL_24 = [(*row, *column) for row, column in permutations(AXES, 2) if not np.dot(row, column)]
OBLIQUE = (0.6, 0.8, 0.0, 0.48, -0.36, 0.8)


def test_there_are_24_orientations() -> None:
    assert len(set(ALL_24)) == 24


@pytest.mark.parametrize("orientation", [*ALL_24, OBLIQUE], ids=lambda one: " ".join(f"{n:g}" for n in one))
def test_every_frame_lies_on_its_source_slice(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    series = by_hand.shuffled(tmp_path / "series", orientation)
    seg, _ = by_hand.made(series)
    save(tmp_path / "a.dcm", seg.dataset)
    sources = {source.SOPInstanceUID: source for source in map(dcmread, series.iterdir())}
    seen = set()
    for frame in frames_of(tmp_path / "a.dcm"):
        source = sources[frame.instance]
        # the voxels of the source are the numbers of the classes
        np.testing.assert_array_equal(frame.voxels, source.pixel_array == frame.segment)
        assert frame.position == list(source.ImagePositionPatient)
        np.testing.assert_allclose(frame.orientation, source.ImageOrientationPatient, atol=1e-12)
        assert frame.spacing == list(source.PixelSpacing) and frame.frame is None
        seen.add((frame.instance, frame.segment))
    held = {(uid, int(n)) for uid, one in sources.items() for n in np.unique(one.pixel_array) if n}
    assert seen == held and len(seen) == 5


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 3, 1)], ids=["in order", "shuffled"])
def test_frames_of_a_file_of_many_are_referred_to_by_number(tmp_path: Path, order: tuple[int, ...]) -> None:
    ordered = by_hand.slices((0, 1, 0, 0, 0, -1))
    image = by_hand.multi_frame(tmp_path / "many.dcm", [ordered[i] for i in order])
    seg, _ = by_hand.made(image)
    save(tmp_path / "a.dcm", seg.dataset)
    source = dcmread(image)
    found = list(frames_of(tmp_path / "a.dcm"))
    assert len(found) == 5
    for frame in found:
        assert frame.instance == source.SOPInstanceUID and frame.frame is not None
        own = source.PerFrameFunctionalGroupsSequence[frame.frame - 1]
        np.testing.assert_array_equal(frame.voxels, source.pixel_array[frame.frame - 1] == frame.segment)
        assert frame.position == list(own.PlanePositionSequence[0].ImagePositionPatient)
    dataset = dcmread(tmp_path / "a.dcm")
    references = dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert [(one.ReferencedSOPInstanceUID, one.ReferencedSOPClassUID) for one in references] == [
        (source.SOPInstanceUID, source.SOPClassUID)
    ]


def test_of_a_chosen_echo_the_frames_of_that_echo_are_referred_to(tmp_path: Path) -> None:
    ordered = by_hand.slices(write.AXIAL)
    second = [one.with_elements(EchoTime=5.0) for one in ordered]
    first = [by_hand.with_changed(one, voxels=9 - one.voxels).with_elements(EchoTime=2.5) for one in ordered]
    both = [one for pair in zip(first, second, strict=True) for one in pair]
    image = Path(f"{by_hand.multi_frame(tmp_path / 'many.dcm', both)}?echo=5")
    seg, _ = by_hand.made(image)
    save(tmp_path / "a.dcm", seg.dataset)
    voxels = dcmread(tmp_path / "many.dcm").pixel_array
    found = list(frames_of(tmp_path / "a.dcm"))
    assert {frame.frame for frame in found} == {4, 6, 8}
    for frame in found:
        np.testing.assert_array_equal(frame.voxels, voxels[(frame.frame or 0) - 1] == frame.segment)


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
def test_voxels_and_names_come_back_through_the_reader(tmp_path: Path, kind: str) -> None:
    series = by_hand.shuffled(tmp_path / "series", OBLIQUE)
    path, _ = by_hand.write_both(tmp_path, series, kind)
    geometry, _ = read_geometry(series)
    placed, _ = padded_onto(read_labels(path, LABELS, geometry), geometry)
    np.testing.assert_array_equal(placed.array[0], np.array([0, 5, 700])[CLASSES])
    np.testing.assert_array_equal(read_image(series).array[0], CLASSES)
    # without its image too, but for the slices at both ends
    assert read_labels(path, LABELS).geometry.spacing == pytest.approx(geometry.spacing)


def rgb(lab: list[int]) -> list[float]:
    """Red, green and blue of a colour in DICOM's CIELab (PS3.3 C.10.7.1.1), by the formulas of CIE and sRGB."""
    light, a, b = lab[0] * 100 / 65535, lab[1] * 255 / 65535 - 128, lab[2] * 255 / 65535 - 128
    y = (light + 16) / 116
    xyz = [t**3 if t > 6 / 29 else 3 * (6 / 29) ** 2 * (t - 4 / 29) for t in (y + a / 500, y, y - b / 200)]
    matrix = [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    linear = np.array(matrix) @ (np.array(xyz) * [0.9505, 1.0, 1.0889])
    return [255 * (12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055) for c in linear]


def test_segments_state_names_colours_codes_algorithm_and_tracking(tmp_path: Path) -> None:
    series = by_hand.shuffled(tmp_path / "series")
    path, _ = by_hand.write_both(tmp_path, series)
    again, _ = by_hand.made(series)
    dataset, segments = dcmread(path), segments_of(LABELS, code_table())
    assert dataset.SegmentationType == "BINARY" and dataset.PatientID == "p1" and str(dataset.PatientName) == "A^B"
    assert dataset.StudyInstanceUID == write.STUDY and dataset.SeriesInstanceUID != write.SERIES
    assert dataset.SOPInstanceUID != again.dataset.SOPInstanceUID
    assert [one.SegmentLabel for one in dataset.SegmentSequence] == ["liver", "tumour"]
    for found, segment, tracking in zip(dataset.SegmentSequence, segments, again.tracking, strict=True):
        np.testing.assert_allclose(rgb(found.RecommendedDisplayCIELabValue), segment.colour, atol=0.6)
        assert found.SegmentedPropertyTypeCodeSequence[0].CodeValue == segment.code.type.code
        assert found.SegmentAlgorithmType == "AUTOMATIC" and found.SegmentAlgorithmName == "autoseg"
        assert found.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == "1.2"
        # a second prediction of the series has the same tracking identifier
        assert found.TrackingUID == tracking and found.TrackingID == segment.name


def test_fractions_are_the_probabilities(tmp_path: Path) -> None:
    series = by_hand.shuffled(tmp_path / "series")
    path, _ = by_hand.write_both(tmp_path, series, "fractional")
    dataset = dcmread(path)
    assert (dataset.SegmentationType, dataset.SegmentationFractionalType) == ("FRACTIONAL", "PROBABILITY")
    sources = {source.SOPInstanceUID: source.pixel_array for source in map(dcmread, series.iterdir())}
    found = list(frames_of(path))
    assert len(found) == 5
    for frame in found:
        expected = np.where(sources[frame.instance] == frame.segment, 0.2 * frame.segment, 0)
        np.testing.assert_allclose(frame.voxels / dataset.MaximumFractionalValue, expected, atol=0.5 / 255)


def test_regions_overlap(tmp_path: Path) -> None:
    regions = (LabelRegion(name="whole", values=(1, 2), value=1), LabelRegion(name="core", values=(2,), value=2))
    labels = Labels(values=(0, 1, 2), names=("background", "label 1", "core"), regions=regions)
    series = by_hand.shuffled(tmp_path / "series")
    seg, _ = by_hand.made(series, labels=labels)
    save(tmp_path / "a.dcm", seg.dataset)
    sources = {source.SOPInstanceUID: source.pixel_array for source in map(dcmread, series.iterdir())}
    for frame in frames_of(tmp_path / "a.dcm"):
        np.testing.assert_array_equal(frame.voxels, sources[frame.instance] >= frame.segment)


def test_a_prediction_without_any_voxel_is_written(tmp_path: Path, caplog) -> None:
    series = by_hand.shuffled(tmp_path / "series")
    seg = make_seg(
        read_source(series), np.zeros(CLASSES.shape, np.uint8), LABELS, segments_of(LABELS, code_table()), "binary", "1"
    )
    save(tmp_path / "a.dcm", seg.dataset)
    assert not caplog.records, "highdicom says that it keeps empty frames"
    assert not any(frame.voxels.any() for frame in frames_of(tmp_path / "a.dcm"))
    assert not read_labels(tmp_path / "a.dcm", LABELS).array.any()


def test_names_that_dicom_cannot_hold_are_cut_apart_and_told(tmp_path: Path) -> None:
    long = [f"{'x' * 80}{end}" for end in "ab"]
    assert len({label_of(name) for name in long}) == 2 and all(len(label_of(name)) == 64 for name in long)
    labels = Labels(values=(0, 1, 2), names=("background", long[0], "łąka\\膝"))
    segments = segments_of(labels, code_table())
    told = told_labels(segments)
    assert len(told) == 2 and "the label is 'łąka/膝…" in told[1]
    series = by_hand.shuffled(tmp_path / "series")
    classes = read_image(series).array[0].astype(np.uint8)
    save(tmp_path / "a.dcm", make_seg(read_source(series), classes, labels, segments, "binary", "1").dataset)
    described = dcmread(tmp_path / "a.dcm").SegmentSequence
    assert [one.SegmentLabel for one in described] == [label_of(long[0]), label_of("łąka\\膝")]
    assert described[0].SegmentDescription == long[0]


@pytest.mark.parametrize(("one", "other"), [("a\\b", "a/b"), ("a  b", "a b"), ("a\x1bb", "a␛b")])
def test_names_that_differ_in_what_dicom_lacks_have_two_labels(one: str, other: str) -> None:
    assert label_of(one) != label_of(other) and label_of(f" {other} ") == other


@pytest.mark.parametrize(("keyword", "value"), [("PatientBirthDate", "notadate"), ("StudyTime", "99")])
def test_a_date_that_is_none_is_refused_before_prediction(tmp_path: Path, keyword: str, value: str) -> None:
    series = by_hand.shuffled(tmp_path / "series")
    for file in series.iterdir():
        dataset = dcmread(file)
        dataset[keyword] = DataElement(keyword, dataset.get_item(keyword).VR, value, validation_mode=IGNORE)
        dataset.save_as(file)
    with pytest.raises(ImageError, match=f"its {keyword} is '{value}', which is no (date|time) that DICOM knows"):
        require_source(series)


def test_a_backslash_in_a_patients_name_stays(tmp_path: Path) -> None:
    series = by_hand.shuffled(tmp_path / "series")
    for file in series.iterdir():
        dataset = dcmread(file)
        dataset.PatientName = "A^B\\C"
        dataset.save_as(file)
    path, report = by_hand.write_both(tmp_path, series)
    assert [list(map(str, found.PatientName)) for found in map(dcmread, (path, report))] == [["A^B", "C"]] * 2


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "StudyInstanceUID", "SOPInstanceUID", "SeriesInstanceUID"])
def test_a_series_without_an_identifier_is_refused_by_it(tmp_path: Path, keyword: str) -> None:
    series = by_hand.shuffled(tmp_path / "series")
    for file in series.iterdir():
        dataset = dcmread(file)
        delattr(dataset, keyword)
        dataset.save_as(file)
    with pytest.raises(ImageError, match=rf"has no {keyword}, which a DICOM SEG must repeat; export"):
        require_source(series)


def test_other_scripts_and_odd_values_of_the_patient_are_repeated(tmp_path: Path) -> None:
    series = by_hand.shuffled(tmp_path / "series")
    for file in series.iterdir():
        dataset = dcmread(file)
        dataset.SpecificCharacterSet, dataset.PatientName, dataset.PatientSex = "ISO_IR 144", "Люкceмбypг", "X"
        for absent in ("StudyID", "AccessionNumber", "StudyDate", "StudyTime", "PatientBirthDate"):
            delattr(dataset, absent)
        dataset.save_as(file)
    path, report = by_hand.write_both(tmp_path, series)
    for found in map(dcmread, (path, report)):
        assert str(found.PatientName) == "Люкceмбypг" and not found.PatientSex and not found.StudyDate


CHECKER = shutil.which("dciodvfy")


@pytest.mark.skipif(CHECKER is None, reason="dciodvfy is not installed (.ci/install-dicom-checkers)")
@pytest.mark.parametrize("kind", ["binary", "fractional"])
@pytest.mark.parametrize("many", [False, True], ids=["single slices", "a file of many frames"])
def test_dciodvfy_finds_no_error(tmp_path: Path, kind: str, many: bool) -> None:
    # the released dciodvfy does not know the newer class of label maps
    image = (
        by_hand.multi_frame(tmp_path / "many.dcm", by_hand.slices(OBLIQUE))
        if many
        else by_hand.shuffled(tmp_path / "series", OBLIQUE)
    )
    for path in by_hand.write_both(tmp_path, image, kind):
        judged = subprocess.run([str(CHECKER), "-new", str(path)], capture_output=True, encoding="utf-8")
        assert "Error" not in judged.stderr, judged.stderr
        assert judged.stderr.split()[0] in ("Segmentation", "EnhancedSR")
