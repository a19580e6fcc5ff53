"""Predicting whole inputs: formats, geometry, failures."""

import pickle
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

import autoseg
import inference.predict_image
from autoseg.commands.cli import status_of
from autoseg.dataset.case import Case
from autoseg.dataset.inputs import read_inputs
from autoseg.errors import InputError, PartialFailure
from autoseg.image.geometry import Geometry
from autoseg.image.image import read_image, read_label
from autoseg.results import IncompletePrediction
from inference.output_files import output_ending
from tests.autoseg.image.dicom import write as dicom
from tests.autoseg.image.nifti import files as nifti
from tests.inference.bright_run import SHAPE, predict, run, voxels, write
from tests.words import on_one_line

__all__ = ["run"]


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_a_prediction_has_the_format_and_geometry_of_its_input(run, tmp_path, ending):
    array = voxels()
    image = write(tmp_path / "in" / f"a{ending}", array)
    assert predict(run, read_inputs([image], ("T1",)), tmp_path / "out")[0] == ()
    written = read_label(tmp_path / "out" / f"a{ending}")
    assert np.array_equal(written.array[0], 500 * (array > array.mean()))
    assert written.array.dtype == np.uint16
    before, after = (sitk.ReadImage(str(tmp_path / folder / f"a{ending}")) for folder in ("in", "out"))
    for one, other in zip(
        (before.GetOrigin(), before.GetSpacing(), before.GetDirection()),
        (after.GetOrigin(), after.GetSpacing(), after.GetDirection()),
        strict=True,
    ):
        assert np.allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("version", [1, 2])
def test_a_prediction_has_both_transforms_of_its_input_and_its_unit(run, tmp_path, version):
    array = voxels()
    sform, qform = (nifti.moved(7, -11, 5) @ nifti.affine((1, 1, 1)), 4), (nifti.affine((1, 1, 1)), 1)
    header = nifti.header(array.T.shape, sform=sform, qform=qform, version=version, fields={"xyzt_units": 10})
    # gzipped or not, whatever its name says
    image = nifti.write(tmp_path / "in" / "a.nii.gz", array.T, header, packed=version == 1)
    problems, told = predict(run, read_inputs([image], ("T1",)), tmp_path / "out")
    assert problems == () and "14 mm apart" in told
    written = nib.load(tmp_path / "out" / "a.nii.gz")
    np.testing.assert_array_equal(np.asarray(written.dataobj), 500 * (array > array.mean()).T)
    for found, expected in ((written.get_sform(coded=True), sform), (written.get_qform(coded=True), qform)):
        np.testing.assert_allclose(found[0], expected[0])
        assert found[1] == expected[1]
    assert written.header["xyzt_units"] == 10


def test_mgz_is_answered_in_nifti_at_its_own_geometry(run, tmp_path):
    array = voxels()
    nib.save(nib.MGHImage(array.T, nifti.affine((1, 1, 1))), tmp_path / "a.mgz")
    assert predict(run, read_inputs([tmp_path / "a.mgz"], ("T1",)), tmp_path / "out")[0] == ()
    written = nib.load(tmp_path / "out" / "a.nii.gz")
    np.testing.assert_array_equal(np.asarray(written.dataobj), 500 * (array > array.mean()).T)
    np.testing.assert_allclose(written.affine, nifti.affine((1, 1, 1)), atol=1e-5)


def test_flipped_permuted_and_oblique_inputs_come_back_as_they_lie(run, tmp_path):
    array = voxels(1)
    turned = sitk.Euler3DTransform()
    turned.SetRotation(0.2, -0.3, 0.15)
    rotation = np.array(turned.GetMatrix()).reshape(3, 3)
    for i, order in enumerate([(2, 1, 0), (0, 2, 1), (1, 0, 2)]):
        for j, signs in enumerate([(1, 1, 1), (-1, 1, -1), (-1, -1, -1)]):
            direction = tuple(
                tuple(float(c) for c in rotation @ (np.eye(3)[axis] * sign))
                for axis, sign in zip(order, signs, strict=True)
            )
            write(
                tmp_path / "in" / f"case_{i}{j}.nii.gz", array, Geometry(SHAPE, (1.0, 1.0, 1.0), (5, 6, 7), direction)
            )
    assert predict(run, read_inputs([tmp_path / "in"], ("T1",)), tmp_path / "out")[0] == ()
    outputs = sorted((tmp_path / "out").glob("*.nii.gz"))
    assert len(outputs) == 9
    for output in outputs:
        written, original = read_label(output), read_image(tmp_path / "in" / output.name)
        assert np.array_equal(written.array[0], 500 * (array > array.mean())), output.name
        corners = np.array([[0, 0, 0], np.array(SHAPE) - 1.0])
        moved = written.geometry.to_world(corners) - original.geometry.to_world(corners)
        assert np.abs(moved).max() < 1e-5, output.name


def test_dicom_is_answered_in_nifti_at_its_own_geometry(run, tmp_path):
    array = np.rint(voxels(2)).astype(np.int16)
    folder = tmp_path / "in" / "series"
    folder.mkdir(parents=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for z, plane in enumerate(array):
        slice_image = sitk.GetImageFromArray(plane[None])
        slice_image.SetSpacing((1.0, 1.0, 1.0))
        tags = {
            "0008|0060": "MR",
            "0020|000d": "1.2.3.4",
            "0020|000e": "1.2.3.4.5",
            "0020|0052": "1.2.3.4.6",
            "0008|0018": f"1.2.3.4.5.{z + 1}",
            "0020|0013": str(z + 1),
            "0020|0032": f"-10\\-12.5\\{z + 4}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0018|0050": "1",
        }
        for tag, value in tags.items():
            slice_image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{z:03d}.dcm"))
        writer.Execute(slice_image)
    assert predict(run, read_inputs([folder], ("T1",)), tmp_path / "out")[0] == ()
    written, original = read_label(tmp_path / "out" / "series.nii.gz"), read_image(folder)
    assert np.array_equal(written.array[0], 500 * (array > array.mean()))
    assert original.geometry.largest_offset(written.geometry) < 1e-5


def test_a_choice_of_dicom_is_predicted_under_its_name(run, tmp_path, capsys):
    arrays = [np.rint(voxels(i)).astype(np.int16) for i in range(2)]
    of = [
        one.with_elements(EchoTime=2.5 * i + 2.5)
        for i in range(2)
        for one in dicom.stack(arrays[i], step=1.0, spacing=(1.0, 1.0))
    ]
    dicom.series(tmp_path / "in" / "p1" / "scan", of)
    (tmp_path / "in" / "notes.txt").write_text("seen", encoding="utf-8")
    autoseg.predict(str(run.path), f"{tmp_path / 'in'}?echo=5", str(tmp_path / "out"), device="cpu")
    written = read_label(tmp_path / "out" / "p1_scan_echo5.nii.gz")
    assert np.array_equal(written.array[0], 500 * (arrays[1] > arrays[1].mean()))
    assert "notes.txt: no image" in capsys.readouterr().err
    with pytest.raises(PartialFailure, match=r"p1_scan: .*holds 2 volumes"):
        autoseg.predict(str(run.path), str(tmp_path / "in"), str(tmp_path / "whole"), device="cpu")


def test_a_bad_input_is_reported_and_the_rest_go_on(run, tmp_path):
    write(tmp_path / "in" / "a.nii.gz", voxels())
    (tmp_path / "in" / "b.nii.gz").write_bytes(b"\x1f\x8bnothing")
    spoiled = voxels()
    spoiled[3, 3, 3] = np.nan
    write(tmp_path / "in" / "c.nrrd", spoiled)
    write(tmp_path / "in" / "d.nii.gz", np.full(SHAPE, 7, np.float32))
    write(tmp_path / "in" / "e.nii.gz", voxels(1))
    with pytest.raises(PartialFailure) as caught:
        autoseg.predict(run.path, tmp_path / "in", tmp_path / "out", device="cpu")
    assert caught.value.exit_status == 1
    message = str(caught.value)
    assert message.startswith("3 of 5")
    lines = message.splitlines()[1:]
    assert [line.split(":")[0] for line in lines] == ["b", "c", "d"]
    assert "NaN" in lines[1]
    assert sorted(p.name for p in (tmp_path / "out").glob("*.nii.gz")) == ["a.nii.gz", "e.nii.gz"]
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert isinstance(error, IncompletePrediction) and str(error) == message
        assert error.predictions.label_maps == {name: tmp_path / "out" / f"{name}.nii.gz" for name in "ae"}
        assert set(error.predictions.files) == {path for path in (tmp_path / "out").iterdir() if path.is_file()}


def test_the_command_tells_each_bad_input_once(run, tmp_path, capsys):
    for name in ("b", "c"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{name}.nii.gz").write_bytes(b"\x1f\x8bnothing")
    arguments = ["predict", run.path, "-i", tmp_path / "in", "-o", tmp_path / "out", "--device", "cpu"]
    assert status_of([*map(str, arguments)]) == 1
    told = on_one_line(capsys.readouterr().err)
    assert told.count("not predicted b: ") == 1 and "".join(told.split()).count("b.nii.gz") == 1
    assert "Error: 2 of 2 could not be predicted; the lines `not predicted` above say which, and why" in told
    assert "cases (2 not predicted)" in told and "0/2" in told and "2/2" not in told


def test_an_unexpected_failure_shows_its_traceback_and_the_rest_go_on(run, tmp_path, monkeypatch):
    cases = read_inputs([write(tmp_path / "in" / f"{name}.nii.gz", voxels()).parent for name in "ab"], ("T1",))
    real = inference.predict_image.prepare_case

    def fails_once(loaded, plan, configuration, name, part):
        if name == "a":
            raise ZeroDivisionError("odd")
        return real(loaded, plan, configuration, name, part)

    monkeypatch.setattr("inference.predict_image.prepare_case", fails_once)
    problems, shown = predict(run, cases, tmp_path / "out")
    assert problems == ("a: unexpected ZeroDivisionError: odd",)
    assert "fails_once" in shown, "the traceback names where"
    assert (tmp_path / "out" / "b.nii.gz").exists()


def test_an_output_never_overwrites_an_input(run, tmp_path):
    image = write(tmp_path / "a.nii.gz", voxels())
    before = image.read_bytes()
    with pytest.raises(InputError, match="overwritten"):
        predict(run, read_inputs([image], ("T1",)), tmp_path)
    assert image.read_bytes() == before


def test_inputs_of_one_name_are_refused(run, tmp_path):
    case = Case("a", (write(tmp_path / "a.nii.gz", voxels()),))
    with pytest.raises(InputError, match="a: several inputs"):
        predict(run, [case, replace(case)], tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "ending"),
    [("a.nii.gz", ".nii.gz"), ("A.NRRD", ".nrrd"), ("a.mhd", ".mha"), ("a.nhdr", ".nrrd"), ("a.img", ".nii.gz")],
)
def test_formats_of_two_files_are_answered_in_one(tmp_path, name, ending):
    assert output_ending(Case("a", (None, tmp_path / name))) == ending


def test_predicting_needs_neither_data_set_nor_folds(run, tmp_path):
    image = write(tmp_path / "a.nii.gz", voxels())
    for path in (run.dataset, run.splits):
        assert not path.exists()
    autoseg.predict(str(run.path), [str(image)], str(tmp_path / "out"), device="cpu")
    assert (tmp_path / "out" / "a.nii.gz").exists()
