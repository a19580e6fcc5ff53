"""Images in memory are predicted to the bits that the command writes, whatever they are given as."""

import copy
import pickle
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch

import autoseg
import inference.ensemble
import inference.ensemble_groups
from autoseg.dataset.fingerprint import read_fingerprint, write_fingerprint
from autoseg.errors import DatasetError, ImageError, InputError, RunFolderError
from autoseg.plan.plan import read_plan, write_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.selection import ClassRule, Selection, write_selection
from inference.prediction import PredictionWarning
from tests.autoseg.dataset import build
from tests.tiny_models import LABELS, REGIONS, SHAPE, make_models

OBLIQUE = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, -1.0]])
STRAIGHT = {"spacing": (1.0, 1.0, 4.0), "origin": (0.0, 0.0, 0.0)}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_models(tmp_path_factory.mktemp("one") / "RUN").path


@pytest.fixture(scope="module")
def predictor(run):
    return autoseg.Predictor(run, threads=1, device="cpu")


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A run of two sequences and two configurations."""
    return make_models(tmp_path_factory.mktemp("several") / "RUN", ("T1", "STIR"), folds=1, two=True).path


def written(run, images, output, **options):
    """The label maps that the command writes, by case, read with SimpleITK."""
    autoseg.predict(run, images, output, threads=1, device="cpu", **options)
    return {file.name.removesuffix(".nii.gz"): sitk.ReadImage(str(file)) for file in sorted(output.glob("*.nii.gz"))}


def array(image):
    return sitk.GetArrayFromImage(image)


def assert_same(found, expected):
    assert found.GetPixelID() == expected.GetPixelID()
    np.testing.assert_array_equal(array(found), array(expected))
    for place in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(found, place)(), getattr(expected, place)(), atol=1e-6)


def test_every_kind_of_image_gives_the_bits_of_the_command(run, predictor, tmp_path):
    voxels = build.voxels(1, SHAPE)
    file = build.write(tmp_path / "a.nii.gz", voxels, **STRAIGHT)
    expected = written(run, [file], tmp_path / "out")["a"]
    assert len(np.unique(array(expected))) == 3, "the networks must find something"
    given = sitk.ReadImage(str(file))
    for image in (given, str(file), file, {"T1": given}, [given], {"T1": file}):
        assert_same(predictor(image), expected)
    # an array says no place, and it is that of the file here
    assert_same(predictor(voxels, spacing=(4.0, 1.0, 1.0)), expected)
    assert_same(predictor(voxels.astype(np.float64)[None], spacing=[4, 1, 1]), expected)


def test_a_prediction_lies_where_its_image_does(run, predictor, tmp_path):
    file = build.write(tmp_path / "a.mha", build.voxels(2, SHAPE), spacing=(1.0, 1.0, 4.0), direction=OBLIQUE)
    given = sitk.ReadImage(str(file))
    autoseg.predict(run, [file], tmp_path / "out", threads=1, device="cpu")
    found = predictor(given)
    assert_same(found, sitk.ReadImage(str(tmp_path / "out" / "a.mha")))
    assert found.GetDirection() == given.GetDirection() and found.GetOrigin() == given.GetOrigin()
    assert found.GetSpacing() == given.GetSpacing()
    # SimpleITK refuses two images that lie elsewhere
    masked = sitk.Mask(given, sitk.Cast(found, sitk.sitkUInt16))
    assert type(masked) is sitk.Image


def test_several_sequences_and_configurations_are_as_in_the_command(several, tmp_path):
    t1, stir = build.voxels(1, SHAPE), build.voxels(2, SHAPE)
    for i, voxels in enumerate((t1, stir)):
        build.write(tmp_path / "in" / f"a_{i:04d}.nii.gz", voxels, **STRAIGHT)
    images = [sitk.ReadImage(str(tmp_path / "in" / f"a_{i:04d}.nii.gz")) for i in (0, 1)]
    expected = written(several, [tmp_path / "in"], tmp_path / "out", config=("2d", "3d"))["a"]
    predictor = autoseg.Predictor(several, config=("2d", "3d"), threads=1, device="cpu")
    assert predictor.sequences == ("T1", "STIR")
    for image in (images, {"STIR": images[1], "T1": images[0]}, sitk.Compose(images)):
        assert_same(predictor(image), expected)
    assert_same(predictor(np.stack([t1, stir]), spacing=(4, 1, 1)), expected)
    assert_same(predictor({"T1": t1, "STIR": tmp_path / "in" / "a_0001.nii.gz"}, spacing=(4, 1, 1)), expected)


def test_a_sequence_that_was_not_acquired_is_left_out_and_told_as_by_the_command(several, tmp_path):
    build.write(tmp_path / "t1.nii.gz", voxels := build.voxels(1, SHAPE), **STRAIGHT)
    rows = [{"case": "a", "T1": "t1.nii.gz", "STIR": ""}]
    table = build.write_table(tmp_path, rows)
    expected = written(several, [table], tmp_path / "out")["a"]
    predictor = autoseg.Predictor(several, threads=1, device="cpu")
    for image in ([voxels, None], {"T1": voxels}, {"T1": voxels, "STIR": None}):
        with pytest.warns(PredictionWarning, match="^STIR is absent, and every training case had it$"):
            found = predictor(image, spacing=(4, 1, 1))
        assert_same(found, expected)
        assert found.notes == ("STIR is absent, and every training case had it",)


def test_a_sequence_on_another_grid_is_resampled_and_told(several):
    stir = sitk.GetImageFromArray(build.voxels(2, SHAPE))
    stir.SetSpacing((1, 1, 4))
    t1 = sitk.Image(stir)
    stir.SetOrigin((5, 0, 0))
    with pytest.warns(PredictionWarning, match=r"^STIR is on another grid than T1 .* resampled onto it, covers \d+ %"):
        autoseg.Predictor(several, threads=1, device="cpu")([t1, stir])


@pytest.mark.parametrize("labels", [LABELS, REGIONS], ids=["classes", "regions"])
def test_probabilities_and_members_are_given_where_they_are_asked_for(tmp_path, labels):
    run = make_models(tmp_path / "RUN", labels=labels).path
    rule = ClassRule(name=labels.foreground[0], threshold=0.9)
    file = build.write(tmp_path / "a.nii.gz", build.voxels(3, SHAPE), **STRAIGHT)
    predictor = autoseg.Predictor(run, threads=1, device="cpu")
    plain = predictor(file)
    assert plain.probabilities == {} and plain.members == {}
    alone = written(run, [file], tmp_path / "alone", fold=1)["a"]
    found = predictor(file, probabilities=True, members=True)
    assert_same(found, written(run, [file], tmp_path / "out", save_probabilities=True)["a"])
    kind = "region" if labels.regions else "label"
    numbers = (1, 2) if labels.regions else labels.values
    assert list(found.probabilities) == list(labels.foreground if labels.regions else labels.names)
    for number, probability in zip(numbers, found.probabilities.values(), strict=True):
        assert_same(probability, sitk.ReadImage(str(tmp_path / f"out/probabilities/a/{kind}_{number}.nii.gz")))
    assert list(found.members) == ["3d fold 0", "3d fold 1"]
    assert_same(found.members["3d fold 1"], alone)
    assert (array(found.members["3d fold 0"]) != array(found)).any()
    # what was selected is applied, unless it is not wanted
    write_selection(RunFolder(run), Selection(configurations=("3d",), post_processing=(rule,)))
    selected = autoseg.Predictor(run, threads=1, device="cpu")(file)
    assert_same(selected, written(run, [file], tmp_path / "selected")["a"])
    assert (array(selected) != array(plain)).any()
    assert_same(autoseg.Predictor(run, threads=1, device="cpu", post_processing=False)(file), plain)


@pytest.mark.parametrize("two", [False, True], ids=["one configuration", "two"])
def test_measurements_are_those_of_the_command(tmp_path, two):
    run = make_models(tmp_path / "RUN", two=two).path
    config = ("2d", "3d") if two else None
    build.write(tmp_path / "a.nii.gz", build.voxels(3, SHAPE), **STRAIGHT)
    expected = written(run, [tmp_path / "a.nii.gz"], tmp_path / "out", config=config)["a"]
    rows = pd.read_csv(tmp_path / "out" / "measurements.csv", keep_default_na=False, na_values={"agreement": [""]})
    predictor = autoseg.Predictor(run, config=config, threads=1, device="cpu")
    assert predictor(tmp_path / "a.nii.gz").measurements is None
    found = predictor(tmp_path / "a.nii.gz", measurements=True)
    assert_same(found, expected)
    pd.testing.assert_frame_equal(found.measurements, rows.drop(columns=["case", "image"]))
    assert found.measurements["agreement"].notna().all() and (found.measurements["volume_ml"] > 0).all()
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(found)).measurements, found.measurements)


def test_four_threads_at_once_predict_the_bits_of_one_after_another(predictor):
    images = [build.voxels(seed, SHAPE) for seed in range(8)]
    before = torch.get_num_threads()
    one_by_one = [array(predictor(image, spacing=(4, 1, 1))) for image in images]
    barrier = threading.Barrier(4)

    def predict(image):
        if not barrier.broken:
            barrier.wait(20)
        return array(predictor(image, spacing=(4, 1, 1)))

    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(predict, images))
    for one, other in zip(one_by_one, at_once, strict=True):
        np.testing.assert_array_equal(one, other)
    assert torch.get_num_threads() == before


def test_models_are_loaded_once_and_images_stay_as_they_are(run, monkeypatch):
    loaded, load = [], inference.ensemble_groups.Ensemble.load
    monkeypatch.setattr(inference.ensemble_groups.Ensemble, "load", lambda *given: loaded.append(given) or load(*given))
    predictor = autoseg.Predictor(run, threads=1, device="cpu")
    image = np.asfortranarray(build.voxels(4, SHAPE))
    before, state = image.copy(), {name: id(value) for name, value in vars(predictor).items()}
    first = array(predictor(image, spacing=(4, 1, 1)))
    predictor(build.voxels(5, SHAPE), spacing=(4, 1, 1))
    np.testing.assert_array_equal(array(predictor(image, spacing=(4, 1, 1))), first)
    np.testing.assert_array_equal(image, before)
    assert len(loaded) == 1
    assert {name: id(value) for name, value in vars(predictor).items()} == state
    assert repr(predictor).endswith("3d fold 0, 3d fold 1; T1; cpu)") and predictor.labels["lesion"] == 700


def changed(voxels, value):
    voxels = voxels.copy()
    voxels[2, 3, 4] = value
    return voxels


@pytest.mark.parametrize(
    ("voxels", "said"),
    [
        (changed(build.voxels(1, SHAPE), np.nan), r"1 of 5376 voxels are NaN .* \(z, y, x\) = \(2, 3, 4\)"),
        (changed(build.voxels(1, SHAPE).astype(float), 1e300), r"1 of 5376 voxels are NaN or infinite"),
        (np.full(SHAPE, 7, np.int16), "constant image, every voxel is 7"),
        (np.stack([build.voxels(1, SHAPE)] * 3), "T1 is 4D: it holds 3 volumes, and one is expected"),
    ],
    ids=["nan", "overflow", "constant", "channels"],
)
def test_voxels_are_refused_as_those_of_a_file(run, predictor, tmp_path, voxels, said):
    with pytest.raises(DatasetError, match=said):
        predictor(voxels, spacing=(4, 1, 1))
    file = build.write(tmp_path / "T1.nii.gz", voxels, **STRAIGHT)
    with pytest.raises(DatasetError) as of_file:
        predictor(file)
    with pytest.raises(DatasetError) as of_image:
        predictor(sitk.GetImageFromArray(voxels, isVector=False))
    told = str(of_file.value).replace(str(file), "T1").replace("channel 0 of ", "").removeprefix("T1: ")
    assert str(of_image.value).removeprefix("image: ") == told


def sheared():
    image = sitk.GetImageFromArray(build.voxels(1, SHAPE))
    image.SetDirection((1, 0.3, 0, 0, 0.954, 0, 0, 0, 1))
    return image


@pytest.mark.parametrize(
    ("image", "spacing", "error", "said"),
    [
        (np.zeros(SHAPE, np.complex64), (1, 1, 1), ImageError, "T1: its voxels are complex numbers; export their mag"),
        (sitk.Image(4, 4, 4, sitk.sitkComplexFloat32), None, ImageError, "T1: its voxels are complex numbers"),
        (np.zeros((4, 5)), (1, 1, 1), ImageError, r"T1: has 2 dimensions, expected \(z, y, x\)"),
        (np.zeros((0, 5, 5)), (1, 1, 1), ImageError, "T1: has no voxel"),
        (
            build.voxels(1, SHAPE)[:1],
            (4, 1, 1),
            ImageError,
            "one slice along z, and the models learned from volumes of",
        ),
        (np.full(SHAPE, "a"), (1, 1, 1), ImageError, "T1: holds no numbers, its dtype is <U1"),
        (
            np.ma.masked_less(build.voxels(1, SHAPE), 90),
            (4, 1, 1),
            ImageError,
            "T1: some of its voxels are masked; give",
        ),
        (sitk.LabelImageToLabelMap(sitk.Image(4, 4, 4, sitk.sitkUInt8)), None, ImageError, "T1: is a label map object"),
        (sitk.Image(), None, ImageError, "T1: its header declares an image of no voxel"),
        (sheared(), None, ImageError, "T1: its axes are sheared"),
        (build.voxels(1, SHAPE), (0, 1, 1), ImageError, r"a spacing of 1 × 1 × 0 mm \(x, y, z\)"),
        (build.voxels(1, SHAPE), (4000, 1, 1), ImageError, "no scanner makes voxels of more than 200 mm"),
        (build.voxels(1, SHAPE), None, InputError, r"an array has no spacing; give spacing=\(z, y, x\) in mm"),
        (build.voxels(1, SHAPE), (1, 1), InputError, r"spacing is \(1, 1\); give three numbers"),
        (build.voxels(1, SHAPE), 2.0, InputError, "spacing is 2.0; give three numbers"),
        (sitk.Image(4, 4, 4, sitk.sitkFloat32), (1, 1, 1), InputError, "other images have a spacing of their own"),
        ("a.nii.gz", (1, 1, 1), InputError, "a file has a spacing of its own"),
        ([None], None, DatasetError, "has no image; at least one sequence must be given"),
        ([], None, InputError, r"0 images are given for 1 sequences \(T1\)"),
        ({"T9": None}, None, InputError, "T9: no such sequence; the models know T1"),
        (7, None, InputError, "T1: a int is no image; give a path"),
        (torch.zeros(4, 4, 4), None, InputError, "T1: a Tensor is no image"),
        ("missing.nii.gz", None, DatasetError, "missing.nii.gz: does not exist"),
    ],
)
def test_what_is_no_image_of_a_patient_is_refused_by_name(predictor, image, spacing, error, said):
    with pytest.raises(error, match=said):
        predictor(image, spacing=spacing)


def test_a_path_is_one_case(predictor, tmp_path):
    for name in "ab":
        build.write(tmp_path / f"{name}.nii.gz", build.voxels(1, SHAPE), **STRAIGHT)
    with pytest.raises(InputError, match=r"holds 2 cases; give one at a time, or use autoseg\.predict"):
        predictor(tmp_path)


def test_options_are_refused_as_by_the_command(run, tmp_path):
    with pytest.raises(InputError, match="--threads 0"):
        autoseg.Predictor(run, threads=0)
    with pytest.raises(InputError, match="device 'tpu' is unknown"):
        autoseg.Predictor(run, device="tpu")
    with pytest.raises(RunFolderError, match="fold 7 is not trained"):
        autoseg.Predictor(run, fold=7)
    with pytest.raises(RunFolderError, match="is not a folder"):
        autoseg.Predictor(tmp_path / "nothing")


def test_a_usual_image_is_no_reason_to_warn(predictor):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert predictor(build.voxels(1, SHAPE), spacing=(4, 1, 1)).notes == ()


def test_a_prediction_is_copied_and_pickled_as_an_image(predictor):
    found = predictor(build.voxels(1, SHAPE), spacing=(4, 1, 1))
    for other in (copy.deepcopy(found), pickle.loads(pickle.dumps(found)), sitk.Image(found)):
        assert_same(other, found)


def test_a_copy_keeps_notes_members_and_probabilities(predictor):
    found = predictor(build.voxels(1, SHAPE), spacing=(4, 1, 1), members=True, probabilities=True)
    found.notes = ("odd",)
    for other in (copy.deepcopy(found), copy.copy(found), pickle.loads(pickle.dumps(found))):
        assert_same(other, found)
        assert other.notes == ("odd",) and list(other.members) == list(found.members)
        assert_same(other.members["3d fold 1"], found.members["3d fold 1"])
        assert_same(other.probabilities["lesion"], found.probabilities["lesion"])


@pytest.fixture
def with_blind(tmp_path):
    """A run of two sequences, whose configuration 2d sees one of them alone."""
    run = make_models(tmp_path / "RUN", ("T1", "STIR"), folds=1, two=True)
    plan = read_plan(run.plan)
    full = plan.configurations
    write_plan(run.plan, plan.changed(configurations={**full, "2d": full["2d"].changed(sequences=("STIR",))}), {})
    return run.path


def test_a_configuration_that_sees_nothing_has_no_member(with_blind, monkeypatch):
    monkeypatch.setattr(inference.ensemble, "load_network", lambda *arguments: Classes())
    predictor = autoseg.Predictor(with_blind, config=("2d", "3d"), threads=1, device="cpu")
    with pytest.warns(PredictionWarning, match="2d left out"):
        found = predictor({"T1": build.voxels(1, SHAPE)}, spacing=(4, 1, 1), members=True)
    assert list(found.members) == ["3d fold 0"]


def test_a_case_is_done_without_members_that_see_nothing(with_blind, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(inference.ensemble, "load_network", lambda *arguments: Classes())
    build.write(tmp_path / "t1.nii.gz", build.voxels(1, SHAPE), **STRAIGHT)
    cases = build.write_table(tmp_path, [{"case": "a", "T1": "t1.nii.gz", "STIR": ""}])
    options = {"config": ("2d", "3d"), "save_members": True, "skip_existing": True, "threads": 1, "device": "cpu"}
    for _ in range(2):
        autoseg.predict(with_blind, cases, tmp_path / "out", **options)
    assert "1 of 1 are predicted already" in capsys.readouterr().err


class Classes(torch.nn.Module):
    """A network that finds three classes by brightness."""

    def forward(self, x):
        return torch.cat([-x[:, :1], x[:, :1], x[:, :1] - 1], 1)


def test_models_of_pictures_refuse_what_simpleitk_reads_of_one(tmp_path):
    run = make_models(tmp_path / "RUN", folds=1)
    write_fingerprint(run.fingerprint, read_fingerprint(run.fingerprint).changed(pixel_spacing=(0.5, 0.5)))
    predictor = autoseg.Predictor(run.path, threads=1, device="cpu")
    picture = sitk.GetImageFromArray(build.voxels(1, SHAPE)[0])
    with pytest.raises(InputError, match=r"give the path of the picture, or an array \(1, y, x\) with its spacing"):
        predictor(picture)
