"""Reading a case: orientation, labels, channels on other grids; against SimpleITK on the same files."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.dataset.case import Case
from autoseg.dataset.load import load_case
from autoseg.errors import AutosegError, DatasetError
from autoseg.image.image import read_geometry
from autoseg.image.labels import Labels
from tests.autoseg.dataset import build

LABELS = Labels(values=(0, 200, 500, 600), names=("background", "a", "b", "c"))
LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))


def orientations() -> list[str]:
    """All 48, as the anatomical directions towards which x, y, z of the file grow."""
    return [
        "".join(LETTERS[axis][side] for axis, side in zip(axes, sides, strict=True))
        for axes in itertools.permutations(range(3))
        for sides in itertools.product((0, 1), repeat=3)
    ]


def oblique() -> np.ndarray:
    turn = sitk.Euler3DTransform((0, 0, 0), 0.2, -0.15, 0.3)
    return np.array(turn.GetMatrix()).reshape(3, 3)


@pytest.mark.parametrize("direction", [np.eye(3), oblique()], ids=["straight", "oblique"])
@pytest.mark.parametrize("orientation", orientations())
def test_canonical_as_simpleitk_orients(tmp_path, orientation, direction):
    original = build.write(tmp_path / "plain.nrrd", build.voxels(), direction=direction)
    turned = sitk.DICOMOrient(sitk.ReadImage(str(original)), orientation)
    sitk.WriteImage(turned, str(tmp_path / "turned.nrrd"))
    loaded = load_case(Case("turned", (tmp_path / "turned.nrrd",)), None, "canonical")
    expected = sitk.DICOMOrient(turned, "LPS")
    np.testing.assert_array_equal(loaded.image[0], sitk.GetArrayFromImage(expected))
    assert loaded.geometry.spacing == pytest.approx(expected.GetSpacing()[::-1])
    np.testing.assert_allclose(loaded.geometry.origin, expected.GetOrigin(), atol=1e-6)
    columns = np.array(expected.GetDirection()).reshape(3, 3)
    np.testing.assert_allclose(np.array(loaded.geometry.direction)[::-1].T, columns, atol=1e-6)
    np.testing.assert_array_equal(loaded.reorientation.undo(loaded.image)[0], sitk.GetArrayFromImage(turned))


def test_as_stored_leaves_the_axes(tmp_path):
    path = build.write(tmp_path / "a.nii.gz", build.voxels(), direction=np.diag([-1, 1, -1]))
    loaded = load_case(Case("a", (path,)), None, "as_stored")
    np.testing.assert_array_equal(loaded.image[0], build.voxels())
    assert loaded.reorientation.is_identity and loaded.geometry == loaded.stored


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64, np.uint16])
def test_labels_are_mapped_losslessly(tmp_path, dtype):
    values = np.random.default_rng(0).choice(LABELS.values, build.SHAPE).astype(dtype)
    image = build.write(tmp_path / "image.nii.gz", build.voxels())
    label = build.write(tmp_path / "label.nii.gz", values)
    loaded = load_case(Case("a", (image,), label), LABELS, "as_stored")
    assert loaded.label is not None and loaded.label.dtype == np.uint8
    assert set(np.unique(loaded.label)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(LABELS.to_values(loaded.label), values)


@pytest.mark.parametrize("orientation", ["canonical", "as_stored"])
def test_label_stored_in_another_axis_order_is_turned_to_its_image(tmp_path, orientation):
    image = build.write(tmp_path / "image.nrrd", build.voxels())
    label = build.write(tmp_path / "label.nrrd", build.label_voxels(200))
    turned = sitk.DICOMOrient(sitk.ReadImage(str(label)), "PIR")
    sitk.WriteImage(turned, str(tmp_path / "turned.nrrd"))
    straight, other = (
        load_case(Case("a", (image,), path), LABELS, orientation) for path in (label, tmp_path / "turned.nrrd")
    )
    np.testing.assert_array_equal(straight.label, other.label)


def test_channel_on_another_grid_is_resampled_onto_the_first(tmp_path):
    first = build.write(tmp_path / "T1.nrrd", build.voxels(0))
    second = build.write(tmp_path / "T2.nrrd", build.voxels(1, (8, 7, 9)), spacing=(0.9, 1.1, 1.7), origin=(9, -21, 29))
    loaded = load_case(Case("a", (first, second)), None, "as_stored")
    expected = sitk.Resample(
        sitk.ReadImage(str(second)), sitk.ReadImage(str(first)), sitk.Transform(), sitk.sitkLinear, 0.0
    )
    np.testing.assert_allclose(loaded.image[1], sitk.GetArrayFromImage(expected), rtol=1e-6)
    np.testing.assert_array_equal(loaded.image[0], build.voxels(0))
    assert len(loaded.warnings) == 1
    assert "T2.nrrd" in loaded.warnings[0] and "T1.nrrd" in loaded.warnings[0]


def test_channel_in_another_axis_order_is_turned_not_resampled(tmp_path):
    first = build.write(tmp_path / "T1.nrrd", build.voxels(0))
    second = sitk.DICOMOrient(sitk.ReadImage(str(build.write(tmp_path / "T2.nrrd", build.voxels(1)))), "SAR")
    sitk.WriteImage(second, str(tmp_path / "T2.nrrd"))
    loaded = load_case(Case("a", (first, tmp_path / "T2.nrrd")), None, "as_stored")
    np.testing.assert_array_equal(loaded.image, [build.voxels(0), build.voxels(1)])
    assert loaded.warnings == ()


def test_absent_channels_are_zero_and_the_first_present_one_gives_the_grid(tmp_path):
    second = build.write(tmp_path / "T2.nii.gz", build.voxels(1), spacing=(2, 2, 2))
    loaded = load_case(Case("a", (None, second, None)), None, "as_stored")
    assert loaded.present == (False, True, False)
    assert loaded.geometry.spacing == (2, 2, 2)
    assert not loaded.image[[0, 2]].any()
    np.testing.assert_array_equal(loaded.image[1], build.voxels(1))


def test_4d_file_gives_its_channels(tmp_path):
    array = build.voxels(0, (3, *build.SHAPE))
    path = build.write(tmp_path / "a.nii.gz", array)
    loaded = load_case(Case("a", (path,) * 3, several_channels_in_one_file=True), None, "as_stored")
    np.testing.assert_array_equal(loaded.image, array)


def test_dicom_folder(tmp_path):
    array = np.random.default_rng(0).integers(0, 1000, (6, 7, 8))
    folder = build.dicom(tmp_path / "series", array)
    loaded = load_case(Case("a", (folder,)), None, "canonical")
    np.testing.assert_array_equal(loaded.image[0], array)
    assert loaded.geometry.spacing == pytest.approx((4, 0.5, 0.5))
    header, channels = read_geometry(folder)
    assert header.largest_offset(loaded.stored) < 1e-6 and channels == 1


def test_what_is_wrong_is_raised_together(tmp_path):
    image = build.write(tmp_path / "image.nii.gz", np.full(build.SHAPE, np.nan, np.float32))
    label = build.write(tmp_path / "label.nii.gz", build.label_voxels(3))
    with pytest.raises(DatasetError) as error:
        load_case(Case("a", (image, Path("nowhere.nii.gz")), label), LABELS, "canonical")
    text = str(error.value)
    assert (
        "120 of 120 voxels are NaN" in text and "nowhere.nii.gz: does not exist" in text and "not declared: 3" in text
    )


def test_problems_of_the_listing_are_raised_on_reading(tmp_path):
    path = build.write(tmp_path / "a.nii.gz", build.voxels())
    with pytest.raises(AutosegError, match="a: duplicate case"):
        load_case(Case("a", (path,), problems=("duplicate case: twice",)), None, "canonical")
    with pytest.raises(AutosegError, match="a: has no image"):
        load_case(Case("a", (None,)), None, "canonical")


def test_real_case_as_simpleitk_reads_it(test_data):
    folder = test_data / "hippocampus40"
    name = "hippocampus_001.nii.gz"
    case = Case("a", (folder / "imagesTr" / name,), folder / "labelsTr" / name)
    loaded = load_case(case, Labels(values=(0, 1, 2), names=("background", "Anterior", "Posterior")), "canonical")
    for part, array in (("imagesTr", loaded.image[0]), ("labelsTr", loaded.label)):
        expected = sitk.DICOMOrient(sitk.ReadImage(str(folder / part / name)), "LPS")
        np.testing.assert_array_equal(array, sitk.GetArrayFromImage(expected))
