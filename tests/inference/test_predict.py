import io
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from rich.console import Console

import autoseg
import inference.ensemble
from autoseg.dataset.case import Case
from autoseg.dataset.inputs import read_inputs
from autoseg.errors import InputError, PartialFailure, RunFolderError
from autoseg.fingerprint import CaseFingerprint, ClassFingerprint, Fingerprint, write_fingerprint
from autoseg.geometry import Geometry
from autoseg.image import Image, read_image, read_label, write_image
from autoseg.labels import Labels
from autoseg.plan import Channel, ForegroundIntensity, write_plan
from autoseg.run_folder import RunFolder
from inference.groups import mirror_axes
from inference.input_check import unusual_intensity
from inference.predict import output_ending, predict_cases
from planner.reference import reference_plan

SHAPE = (18, 20, 22)
LABELS = Labels(values=(0, 500), names=("background", "bright"))
STRAIGHT = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


class AboveMean(torch.nn.Module):
    """A network that finds the voxels brighter than their image's mean (0 after the z-score)."""

    def __init__(self, sign: float = 1.0, log: list | None = None):
        super().__init__()
        self.sign, self.log = sign, log

    def forward(self, x):
        if self.log is not None:
            self.log.append(tuple(x.shape))
        bright = 20 * self.sign * x[:, :1]
        return torch.cat([-bright, bright], 1)


def fingerprint() -> Fingerprint:
    of_class = ClassFingerprint(volume_mm3=100.0, components_mm3=(100.0,), centroid_x=0.5)
    cases = [
        CaseFingerprint(
            case=f"train_{i}",
            shape=SHAPE,
            cropped_shape=SHAPE,
            spacing=(1.0, 1.0, 1.0),
            orientation="SPL",
            present=(True,),
            classes={"bright": of_class},
        )
        for i in range(3)
    ]
    return Fingerprint(
        dataset="made up",
        channels=("T1",),
        modality=("other",),
        labels=LABELS,
        intensities=(ForegroundIntensity(mean=100, sd=20, median=100, percentile_00_5=50, percentile_99_5=150),),
        median_relative_size_after_crop=1.0,
        cases=tuple(cases),
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run with two finished folds and one that was stopped; every model is `AboveMean`."""
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    write_fingerprint(run.fingerprint, fingerprint())
    decided = reference_plan(fingerprint())
    write_plan(run.plan, decided.plan, decided.reasons)
    for fold in range(3):
        run.fold("3d", fold).mkdir(parents=True)
        run.weights("3d", fold).touch()
        if fold < 2:
            run.finished("3d", fold).touch()
    monkeypatch.setattr(inference.ensemble, "load_network", lambda *arguments: AboveMean())
    return run


def voxels(seed=0, shape=SHAPE):
    """Intensities from 50 to 150, none of them zero or close to the mean."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < 0.4, rng.uniform(120, 150, shape), rng.uniform(50, 80, shape)).astype(
        np.float32
    )


def straight(shape=SHAPE, spacing=(1.0, 1.0, 1.0)):
    return Geometry(shape, spacing, (-11.5, 20.25, 3.0), STRAIGHT)


def predict(run, cases, output, **options):
    errors = Console(file=io.StringIO(), width=200)
    problems = predict_cases(run, cases, output, configuration="3d", device="cpu", console=errors, **options)
    return problems, errors.file.getvalue()


def write(path, array, geometry=None):
    write_image(path, Image(array[None], geometry or straight(array.shape)))
    return path


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
    outputs = sorted((tmp_path / "out").iterdir())
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
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.nii.gz", "e.nii.gz"]


def test_an_unexpected_failure_shows_its_traceback_and_the_rest_go_on(run, tmp_path, monkeypatch):
    cases = read_inputs([write(tmp_path / "in" / f"{name}.nii.gz", voxels()).parent for name in "ab"], ("T1",))
    real = inference.predict.prepare_case

    def fails_once(loaded, plan, configuration, name):
        if name == "a":
            raise ZeroDivisionError("odd")
        return real(loaded, plan, configuration, name)

    monkeypatch.setattr("inference.predict.prepare_case", fails_once)
    problems, shown = predict(run, cases, tmp_path / "out")
    assert problems == ("a: unexpected ZeroDivisionError: odd",)
    assert "fails_once" in shown, "the traceback names where"
    assert (tmp_path / "out" / "b.nii.gz").exists()


def test_finished_folds_are_averaged_and_loaded_once(run, tmp_path, monkeypatch):
    loaded = []

    def load(run, plan, configuration, fold, device):
        loaded.append((configuration, fold))
        # two folds that say yes weakly, against one that says no strongly
        return AboveMean(sign={0: 0.1, 1: 0.1, 2: -1.0}[fold])

    monkeypatch.setattr(inference.ensemble, "load_network", load)
    array = voxels()
    for name in "ab":
        write(tmp_path / "in" / f"{name}.nii.gz", array)
    cases = read_inputs([tmp_path / "in"], ("T1",))
    predict(run, cases, tmp_path / "out")
    assert loaded == [("3d", 0), ("3d", 1)], "the stopped fold is left out"
    truth = 500 * (array > array.mean())
    assert np.array_equal(read_label(tmp_path / "out" / "a.nii.gz").array[0], truth)
    _, shown = predict(run, cases, tmp_path / "chosen", folds=(2,))
    assert np.array_equal(read_label(tmp_path / "chosen" / "a.nii.gz").array[0], 500 - truth)
    assert "stopped before its end" in shown


def test_probabilities_are_the_mean_of_the_folds_soft_max(run, tmp_path, monkeypatch):
    signs = {0: 0.02, 1: 0.1}
    monkeypatch.setattr(inference.ensemble, "load_network", lambda r, p, c, fold, d: AboveMean(sign=signs[fold]))
    array = voxels()
    cases = read_inputs([write(tmp_path / "a.nii.gz", array)], ("T1",))
    predict(run, cases, tmp_path / "out", save_probabilities=True)
    z_score = (array - array.mean()) / array.std()
    expected = np.mean([1 / (1 + np.exp(-40 * sign * z_score)) for sign in signs.values()], axis=0)
    written = read_image(tmp_path / "out" / "probabilities" / "a" / "label_500.nii.gz").array[0]
    assert np.abs(written - expected).max() < 2e-3
    background = read_image(tmp_path / "out" / "probabilities" / "a" / "label_0.nii.gz").array[0]
    assert np.abs(written + background - 1).max() < 2e-3


def test_where_no_fold_is_finished_those_that_were_stopped_predict(run, tmp_path):
    for fold in range(2):
        run.finished("3d", fold).unlink()
    cases = read_inputs([write(tmp_path / "a.nii.gz", voxels())], ("T1",))
    problems, shown = predict(run, cases, tmp_path / "out")
    assert problems == () and "fold 0, 1, 2: training was stopped" in shown


def test_folds_that_are_not_trained_are_named(run, tmp_path):
    cases = read_inputs([write(tmp_path / "a.nii.gz", voxels())], ("T1",))
    with pytest.raises(RunFolderError, match=r"fold 4 is not trained; trained are 0, 1, 2"):
        predict(run, cases, tmp_path / "out", folds=(1, 4))
    for fold in range(3):
        run.weights("3d", fold).unlink()
    with pytest.raises(RunFolderError, match="autoseg train"):
        predict(run, cases, tmp_path / "out")


def test_mirroring_predicts_each_window_in_every_flip(run, tmp_path, monkeypatch):
    log: list = []
    monkeypatch.setattr(inference.ensemble, "load_network", lambda *arguments: AboveMean(log=log))
    cases = read_inputs([write(tmp_path / "a.nii.gz", voxels())], ("T1",))
    predict(run, cases, tmp_path / "plain", folds=(0,), mirror=False)
    without = len(log)
    log.clear()
    predict(run, cases, tmp_path / "mirrored", folds=(0,), mirror=True)
    assert len(log) == 8 * without
    one, other = (read_label(tmp_path / folder / "a.nii.gz").array for folder in ("plain", "mirrored"))
    assert np.array_equal(one, other), "this network does not care"


def test_an_axis_that_training_did_not_mirror_is_not_mirrored(run):
    planned = reference_plan(fingerprint()).plan.configurations["3d"]
    sided = planned.model_copy(update={"training": planned.training.model_copy(update={"mirror": (0, 1)})})
    assert mirror_axes(sided, True) == (0, 1)
    assert mirror_axes(sided, False) == ()
    assert mirror_axes(sided, None) == sided.prediction.mirror


def test_mirroring_that_was_asked_for_and_cannot_be_is_told(run, tmp_path):
    decided = reference_plan(fingerprint())
    planned = decided.plan.configurations["3d"]
    still = planned.model_copy(update={"training": planned.training.model_copy(update={"mirror": ()})})
    write_plan(run.plan, decided.plan.model_copy(update={"configurations": {"3d": still}}), {})
    cases = read_inputs([write(tmp_path / "a.nii.gz", voxels())], ("T1",))
    assert "not mirrored" in predict(run, cases, tmp_path / "asked", mirror=True)[1]
    assert "not mirrored" not in predict(run, cases, tmp_path / "plain")[1]


@pytest.mark.parametrize(
    ("change", "spacing", "named"),
    [
        (lambda a: a, (1.0, 1.0, 1.0), None),
        (lambda a: a, (1.0, 1.0, 2.5), "spacing along x"),
        (lambda a: a, (0.3, 1.0, 1.0), "spacing along z"),
        (lambda a: 100 * a, (1.0, 1.0, 1.0), "intensities of T1"),
        (lambda a: a / 1000, (1.0, 1.0, 1.0), "intensities of T1"),
        (lambda a: a - 1024, (1.0, 1.0, 1.0), "intensities of T1"),
    ],
)
def test_inputs_far_from_the_training_cases_are_warned_of(run, tmp_path, change, spacing, named):
    image = write(tmp_path / "a.nii.gz", change(voxels()), straight(spacing=spacing))
    problems, shown = predict(run, read_inputs([image], ("T1",)), tmp_path / "out")
    assert problems == ()
    if named is None:
        assert "spacing" not in shown and "intensities" not in shown
    else:
        assert f"a: {named}" in shown


def channel(normalization, bottom, top):
    """A channel whose training foreground lay between two intensities."""
    foreground = ForegroundIntensity(mean=0, sd=1, median=0, percentile_00_5=bottom, percentile_99_5=top)
    return Channel(name="A", normalization=normalization, inside_nonzero_mask=False, foreground=foreground)


@pytest.mark.parametrize(
    ("normalization", "low", "high", "warned"),
    [
        # training cases whose scales differ a thousandfold, as in hippocampus40: one of them is not unusual
        ("z_score", 40, 1150, False),
        ("z_score", 1, 20, True),
        ("z_score", 1e6, 1e7, True),
        ("ct", 40, 1150, True),
        ("ct", 31, 200_000, False),
    ],
)
def test_scales_are_judged_by_modality(normalization, low, high, warned):
    image = np.linspace(low, high, 1000, dtype=np.float32).reshape(10, 10, 10)
    assert bool(unusual_intensity(image, channel(normalization, 31, 256_600))) is warned


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
