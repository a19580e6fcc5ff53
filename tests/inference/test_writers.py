"""Predictions in the formats that viewers open: whole predictions, from images to named segments."""

import json
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import BasicTextSRStorage
from scipy import ndimage

import autoseg
from autoseg.dataset.inputs import read_inputs
from autoseg.errors import InputError
from autoseg.image.image import read_geometry, read_image
from autoseg.image.label_file import read_labels
from autoseg.image.labels import LabelRegion, Labels
from autoseg.image.writing.codes import COLUMNS
from autoseg.image.writing.dicom_sources import Source, read_source
from autoseg.plan.plan import read_plan, write_plan
from autoseg.whole_image.case_probabilities import CaseProbabilities
from inference.dicom_writer import DicomSegWriter
from inference.output_files import output_files
from inference.writers import OutputFormat
from tests.autoseg.image.dicom import write as dicom
from tests.autoseg.image.dicom.test_records import without_image
from tests.autoseg.image.writing import by_hand
from tests.autoseg.image.writing.by_hand import frames_of
from tests.autoseg.image.writing.test_dicom_report import items, number
from tests.example_record import example_record
from tests.inference.bright_run import LABELS, predict, run, straight, voxels, write
from tests.words import on_one_line

__all__ = ["run"]

DICOM_SEG = OutputFormat("dicom-seg")
# rows to the left, columns down: the array is turned to canonical axes and back
CORONAL = (-1, 0, 0, 0, 0, -1)


def series_of(folder: Path, array: np.ndarray) -> Path:
    """A series whose files are in no order."""
    ordered = by_hand.slices(CORONAL, np.rint(array).astype(np.int16))
    ordered = [by_hand.with_changed(one, spacing=(1.0, 1.0)) for one in ordered]
    return dicom.series(folder, [ordered[i] for i in np.random.default_rng(0).permutation(len(ordered))])


def test_names_and_colours_lie_beside_label_maps(run, tmp_path) -> None:
    write(tmp_path / "in" / "a.nii.gz", voxels())
    assert predict(run, read_inputs([tmp_path / "in"], ("T1",)), tmp_path / "out")[0] == ()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        *("a.nii.gz", "labels.json", "labels_itksnap.txt", "measurements.csv")
    ]
    found = json.loads((tmp_path / "out" / "labels.json").read_text(encoding="utf-8"))
    assert found["labels"] == [{"value": 500, "name": "bright", "colour": "#E69F00"}]
    (tmp_path / "out" / "labels.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"labels\.json: is not written by autoseg"):
        predict(run, read_inputs([tmp_path / "in"], ("T1",)), tmp_path / "out")


def test_seg_nrrd_holds_the_same_voxels_and_names(run, tmp_path) -> None:
    array = voxels()
    image = write(tmp_path / "in" / "a.nii.gz", array)
    autoseg.predict(run.path, image, tmp_path / "out", device="cpu", format="seg.nrrd", save_probabilities=True)
    path = tmp_path / "out" / "a.seg.nrrd"
    np.testing.assert_array_equal(read_labels(path, LABELS).array[0], 500 * (array > array.mean()))
    assert read_geometry(image)[0].largest_offset(read_geometry(path)[0]) < 1e-6
    assert (tmp_path / "out" / "probabilities" / "a" / "label_500.nrrd").exists()


@pytest.mark.parametrize("kind", ["binary", "labelmap", "fractional"])
def test_each_frame_of_a_dicom_seg_is_the_prediction_of_its_slice(run, tmp_path, kind) -> None:
    array = np.rint(voxels(2))
    series = series_of(tmp_path / "in" / "series", array)
    autoseg.predict(run.path, series, tmp_path / "out", device="cpu", format="dicom-seg", seg_type=kind)
    sources = {one.SOPInstanceUID: one for one in map(dcmread, series.iterdir())}
    found = list(frames_of(tmp_path / "out" / "series.dcm"))
    assert len(found) == len(sources)
    for frame in found:
        source = sources[frame.instance]
        share = frame.voxels / 255 if kind == "fractional" else frame.voxels
        np.testing.assert_array_equal(share > 0.5, source.pixel_array > array.mean())
        assert frame.position == list(source.ImagePositionPatient)


def test_the_report_has_volume_and_lesions_of_the_prediction(run, tmp_path) -> None:
    write_plan(run.plan, read_plan(run.plan).changed(lesions=("bright",)), {})
    array = np.rint(voxels(3))
    series_of(tmp_path / "in" / "series", array)
    problems, told = predict(run, read_inputs([tmp_path / "in"], ("T1",)), tmp_path / "out", output_format=DICOM_SEG)
    assert problems == () and "lacks bright: coded as Lesion" in told.replace("\n", " ")
    report = dcmread(tmp_path / "out" / "series_report.dcm")
    (group,) = items(report, "Measurement Group")
    # voxels of 1 × 1 × 3 mm
    volume = (array > array.mean()).sum() * 3 / 1000
    assert number(group, "Volume") == [(pytest.approx(volume, abs=1e-6), "cm3")]
    assert number(group, "Number of lesions") == [(ndimage.label(array > array.mean(), np.ones((3, 3, 3)))[1], "1")]


def test_images_of_other_formats_are_refused_by_name_before_prediction(run, tmp_path, monkeypatch) -> None:
    write(tmp_path / "in" / "a.nii.gz", voxels())
    series_of(tmp_path / "in" / "series", voxels())
    monkeypatch.setattr("inference.predict.load_group", None)
    with pytest.raises(InputError, match=r"not: a \(.*a\.nii\.gz\); give their DICOM series, or leave --format out"):
        predict(run, read_inputs([tmp_path / "in"], ("T1",)), tmp_path / "out", output_format=DICOM_SEG)


def test_a_series_that_lacks_an_identifier_is_reported_and_the_others_go_on(run, tmp_path) -> None:
    for name in "ab":
        series_of(tmp_path / "in" / name, voxels())
    for file in (tmp_path / "in" / "a").iterdir():
        dataset = dcmread(file)
        del dataset.FrameOfReferenceUID
        dataset.save_as(file)
    cases = read_inputs([tmp_path / "in" / name for name in "ab"], ("T1",))
    (problem,), _ = predict(run, cases, tmp_path / "out", output_format=DICOM_SEG)
    assert problem.startswith("a: ") and "has no FrameOfReferenceUID" in problem
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b.dcm", "b_report.dcm", "measurements.csv"]


def test_a_series_that_changes_meanwhile_is_reported(run, tmp_path, monkeypatch) -> None:
    series = series_of(tmp_path / "in" / "series", voxels())
    monkeypatch.setattr("inference.dicom_writer.read_source", moved)
    (problem,), _ = predict(run, read_inputs([series], ("T1",)), tmp_path / "out", output_format=DICOM_SEG)
    assert "has changed while it was predicted" in problem and not list((tmp_path / "out").glob("*.dcm"))


def moved(path: Path) -> Source:
    """The slices of a series, as if it lay elsewhere."""
    source = read_source(path)
    return replace(source, geometry=replace(source.geometry, origin=(0.0, 0.0, 0.0)))


def test_a_name_that_would_be_a_report_is_refused(tmp_path) -> None:
    cases = read_inputs([write(tmp_path / f"{name}.nii.gz", voxels()) for name in ("a", "a_report")], ("T1",))
    with pytest.raises(InputError, match=r"a_report\.dcm: several inputs have this name"):
        output_files(cases, tmp_path / "out", lambda case: (".dcm", "_report.dcm"))


def test_label_maps_cannot_hold_regions(run, tmp_path) -> None:
    regions = (LabelRegion(name="whole", values=(1, 2), value=1), LabelRegion(name="core", values=(2,), value=2))
    labels = Labels(values=(0, 1, 2), names=("background", "label 1", "core"), regions=regions)
    write_plan(run.plan, read_plan(run.plan).changed(labels=labels), {})
    cases = read_inputs([series_of(tmp_path / "series", voxels())], ("T1",))
    with pytest.raises(InputError, match="--seg-type labelmap: the classes are regions"):
        predict(run, cases, tmp_path / "out", output_format=OutputFormat("dicom-seg", "labelmap"))
    # it would be told only once all is predicted
    with pytest.raises(InputError, match=r"--evaluate: the classes are regions.*leave --format seg\.nrrd out"):
        autoseg.predict(run.path, tmp_path / "series", tmp_path / "out", format="seg.nrrd", evaluate=tmp_path)


def test_highdicom_is_asked_for_by_name(run, tmp_path, monkeypatch) -> None:
    cases = read_inputs([series_of(tmp_path / "series", voxels())], ("T1",))
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(InputError, match="takes the library highdicom: pip install "):
        predict(run, cases, tmp_path / "out", output_format=DICOM_SEG)


def test_a_kind_without_its_format_is_refused(run, tmp_path) -> None:
    image = write(tmp_path / "a.nii.gz", voxels())
    with pytest.raises(InputError, match="--seg-type: is for --format dicom-seg alone"):
        autoseg.predict(run.path, image, tmp_path / "out", device="cpu", seg_type="binary")


def test_colours_of_a_users_table_go_with_the_prediction(run, tmp_path) -> None:
    image = write(tmp_path / "a.nii.gz", voxels())
    header = "name,category_scheme,category_code,category_meaning,type_scheme,type_code,type_meaning,colour"
    (tmp_path / "codes.csv").write_text(f"{header}\nbright,99L,1,Part,99L,2,Bright part,#010203\n", encoding="utf-8")
    autoseg.predict(run.path, image, tmp_path / "out", device="cpu", codes=tmp_path / "codes.csv")
    assert '"#010203"' in (tmp_path / "out" / "labels.json").read_text(encoding="utf-8")
    assert read_image(tmp_path / "out" / "a.nii.gz").array.max() == 500


@pytest.mark.parametrize("several", [False, True], ids=["slices", "file of many frames"])
def test_a_slice_in_the_folder_of_the_outputs_is_not_replaced(run, tmp_path, monkeypatch, several) -> None:
    folder = tmp_path / "s"
    if several:
        folder.mkdir()
        ordered = by_hand.slices(CORONAL, np.rint(voxels()).astype(np.int16))
        by_hand.multi_frame(folder / "s.dcm", [by_hand.with_changed(one, spacing=(1.0, 1.0)) for one in ordered])
    else:
        series_of(folder, voxels())
        next(folder.iterdir()).rename(folder / "s.dcm")
    before = (folder / "s.dcm").read_bytes()
    monkeypatch.setattr("inference.predict.load_group", None)
    with pytest.raises(InputError, match=r"s\.dcm: is an input and would be overwritten"):
        predict(run, read_inputs([folder], ("T1",)), folder, output_format=DICOM_SEG)
    assert (folder / "s.dcm").read_bytes() == before


def test_own_outputs_in_the_folder_of_the_series_are_replaced(run, tmp_path) -> None:
    folder = series_of(tmp_path / "s", voxels())
    made = []
    for _ in range(2):
        assert predict(run, read_inputs([folder], ("T1",)), folder, output_format=DICOM_SEG)[0] == ()
        made.append(dcmread(folder / "s.dcm").SOPInstanceUID)
    assert made[0] != made[1] and (folder / "s_report.dcm").exists()


def test_fractions_take_four_bytes_a_voxel_and_class() -> None:
    shape, count = (8, 64, 64), 9
    labels = Labels(values=tuple(range(count)), names=("background", *(f"c{i}" for i in range(1, count))))
    record = example_record(straight(shape))
    members = [CaseProbabilities(np.full((count, *shape), 1 / count, np.float16), record, overlapping=False)]
    tracemalloc.start()
    found = DicomSegWriter(labels, (), "fractional", {}, ())._probabilities(members)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == (*shape, count - 1) and found == pytest.approx(1 / count, abs=1e-3)
    # that of the result, and room for one class at a time
    assert peak < 4 * np.prod(shape) * (count - 1) + 12 * np.prod(shape) + 1e5


def test_segmentations_may_be_written_among_their_images_time_and_again(run, tmp_path) -> None:
    folder = tmp_path / "inout"
    folder.mkdir()
    write(folder / "a.nii.gz", voxels())
    for skip_existing in (False, True, False):
        autoseg.predict(run.path, folder, folder, device="cpu", format="seg.nrrd", skip_existing=skip_existing)
    assert [file.name for file in sorted(folder.glob("a*"))] == ["a.nii.gz", "a.seg.nrrd"]
    autoseg.predict(run.path, folder, tmp_path / "other", device="cpu")
    assert [file.name for file in (tmp_path / "other").glob("*.nii.gz")] == ["a.nii.gz"]


def test_what_is_not_read_of_a_series_names_its_case_once(run, tmp_path) -> None:
    folder = series_of(tmp_path / "dicom2", voxels())
    without_image(folder / "x.dcm", BasicTextSRStorage)
    problems, shown = predict(run, read_inputs([folder], ("T1",)), tmp_path / "out")
    told = "".join(shown.split())
    assert problems == () and "dicom2:dicom2:" not in told
    assert "".join(f"dicom2: {folder} has parts that are not read: x.dcm is a report (SR)".split()) in told


def test_a_case_whose_report_is_gone_is_not_left_as_it_is(run, tmp_path) -> None:
    cases = read_inputs([series_of(tmp_path / "in" / "s", voxels())], ("T1",))
    done = []
    for _ in range(3):
        _, told = predict(run, cases, tmp_path / "out", output_format=DICOM_SEG, skip_existing=True)
        done.append("1 of 1 are predicted already" in told)
        if len(done) == 2:
            (tmp_path / "out" / "s_report.dcm").unlink()
    assert done == [False, True, False] and (tmp_path / "out" / "s_report.dcm").exists()


@pytest.mark.parametrize("name", ["seg.nrrd", None])
def test_a_table_of_codes_that_names_no_class_is_told(run, tmp_path, name) -> None:
    codes = tmp_path / "codes.csv"
    codes.write_text(",".join(COLUMNS) + "\nbrigth,99L,1,Part,99L,2,Bright part,#010203\n", encoding="utf-8")
    cases = read_inputs([write(tmp_path / "a.nii.gz", voxels())], ("T1",))
    _, told = predict(run, cases, tmp_path / "out", output_format=OutputFormat(name, codes=codes))
    assert "codes.csv: names none of the classes (bright), so that it changes nothing" in on_one_line(told)
