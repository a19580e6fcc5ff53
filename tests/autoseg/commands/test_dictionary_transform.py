"""Predictions inside pipelines of MONAI and TorchIO, beside those of the files themselves."""

import numpy as np
import pytest
import SimpleITK as sitk
from monai.data import MetaTensor
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, Orientationd, SaveImaged

import autoseg
from autoseg.commands.dictionary_transform import OnDictionary, _image
from autoseg.errors import InputError
from tests.autoseg.commands.test_predictor import array, assert_same
from tests.autoseg.dataset import build
from tests.tiny_models import SHAPE, make_models

TURNED = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""Directions (columns) of a coronal image: x grows to anterior, y to superior, z to the right."""


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    run = make_models(tmp_path_factory.mktemp("two") / "RUN", ("T1", "STIR"), folds=1)
    return autoseg.Predictor(run.path, threads=1, device="cpu")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    place = {"spacing": (1.0, 4.0, 1.0), "origin": (7.0, -30.0, 12.0), "direction": TURNED}
    return [str(build.write(folder / f"{i}.nii.gz", build.voxels(i, SHAPE), **place)) for i in (1, 2)]


def test_a_transform_of_monai_adds_the_prediction_on_the_images_grid(predictor, files, tmp_path):
    expected = predictor(files)
    steps = [
        LoadImaged(["t1", "s"]),
        EnsureChannelFirstd(["t1", "s"]),
        predictor.on_dictionary(["t1", "s"], output="label"),
        SaveImaged("label", output_dir=tmp_path, output_postfix="", separate_folder=False, print_log=False),
    ]
    made = Compose(steps)({"t1": files[0], "s": files[1], "id": 7})
    assert made["id"] == 7 and made["label"].shape == made["t1"].shape
    np.testing.assert_array_equal(made["label"].numpy()[0].T, array(expected))
    np.testing.assert_allclose(made["label"].affine, made["t1"].affine)
    (saved,) = tmp_path.glob("*.nii.gz")
    assert_same(sitk.Cast(sitk.ReadImage(str(saved)), expected.GetPixelID()), expected)


def test_turned_images_are_predicted_where_they_lie(predictor, files):
    expected = predictor(files)
    turn = Orientationd(["T1", "STIR"], axcodes="LPS")
    steps = [LoadImaged(["T1", "STIR"]), EnsureChannelFirstd(["T1", "STIR"]), turn, predictor.on_dictionary()]
    made = Compose(steps)({"T1": files[0], "STIR": files[1]})
    assert made["prediction"].shape != (1, *SHAPE[::-1])
    back = turn.inverse({"T1": made["T1"], "STIR": made["prediction"]})
    np.testing.assert_array_equal(back["STIR"].numpy()[0].T, array(expected))


def test_a_dictionary_may_hold_images_of_simpleitk_and_lack_a_sequence(predictor, files):
    images = [sitk.ReadImage(file) for file in files]
    found = predictor.on_dictionary({"T1": "a", "STIR": "b"})({"a": images[0], "b": images[1]})
    assert_same(found["prediction"], predictor(files))
    with pytest.warns(UserWarning, match="STIR is absent"):
        found = predictor.on_dictionary(["a", "b"])({"a": images[0]})
    with pytest.warns(UserWarning, match="STIR is absent"):
        assert_same(found["prediction"], predictor([images[0], None]))


def test_keys_and_tensors_that_do_not_fit_are_refused(predictor, files):
    with pytest.raises(InputError, match=r"1 keys for 2 sequences \(T1, STIR\)"):
        predictor.on_dictionary("t1")
    with pytest.raises(InputError, match="T7: no such sequence; the models know T1, STIR"):
        predictor.on_dictionary({"T7": "a"})
    with pytest.raises(InputError, match=r"\(28, 24, 8\): expected \(channel, x, y, z\); add EnsureChannelFirstd"):
        predictor.on_dictionary(["a", "b"])(LoadImaged(["a", "b"])({"a": files[0], "b": files[1]}))


def test_a_subject_of_torchio_is_predicted_and_takes_the_prediction(predictor, files):
    torchio = pytest.importorskip("torchio", reason="TorchIO is not installed; the extra dev has it")
    subject = torchio.Subject(
        T1=torchio.ScalarImage(files[0]), STIR=torchio.ScalarImage(files[1]), age=50, mask=torchio.LabelMap(files[0])
    )
    found = predictor(subject)
    assert_same(found, predictor(files))
    subject.add_image(torchio.LabelMap.from_sitk(found), "prediction")
    np.testing.assert_array_equal(subject["prediction"].numpy()[0].T, array(found))
    np.testing.assert_allclose(subject["prediction"].affine, subject["T1"].affine, atol=1e-6)
    with pytest.warns(UserWarning, match="STIR is absent"):
        predictor(torchio.Subject(T1=torchio.ScalarImage(files[0])))


class OnFirst:
    """Predicts zeros on the grid of the first sequence that is there."""

    sequences = ("T1", "STIR")

    def __call__(self, given):
        first = next(given[name] for name in self.sequences if name in given)
        found = sitk.Image(first.GetSize(), sitk.sitkUInt8)
        found.CopyInformation(first)
        return found


def test_a_prediction_has_the_place_of_the_first_sequence_in_any_order_of_keys():
    affines = [np.array([[0, 0, -3.0, 1], [-1.0, 0, 0, 2], [0, 2.0, 0, 3], [0, 0, 0, 1]]), np.diag([3.0, 3, 5, 1])]
    t1, stir = (MetaTensor(np.zeros((1, 4, 5, 5 + i), np.float32), affine=affine) for i, affine in enumerate(affines))
    data = {"a": t1, "b": stir}
    found = OnDictionary(OnFirst(), {"STIR": "b", "T1": "a"}, "label")(data)["label"]
    assert found.shape == t1.shape
    np.testing.assert_allclose(found.affine, affines[0], atol=1e-9)
    data["a"] = _image(t1)
    found = OnDictionary(OnFirst(), {"STIR": "b", "T1": "a"}, "label")(data)["label"]
    assert isinstance(found, MetaTensor) and found.shape == t1.shape
    np.testing.assert_allclose(found.affine, affines[0], atol=1e-9)
