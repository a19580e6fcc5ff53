"""Values of label maps beside whole numbers, and numbers as texts that show their fraction."""

from pathlib import Path

import numpy as np
import pytest

from autoseg.image.image import read_label
from autoseg.image.whole_numbers import rounded, written
from tests.autoseg.dataset import build
from tests.autoseg.image.nifti import files

PATH = Path("a.nii")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_beside_a_whole_number_are_rounded_and_told(dtype: type) -> None:
    array = np.array([[[0, 0.9999999, 2.0009]], [[-0.9991, 3, 500.0005]]], dtype)
    found, said = rounded(PATH, array)
    np.testing.assert_array_equal(found, [[[0, 1, 2]], [[-1, 3, 500]]])
    assert "a.nii: 4 voxels hold values up to 0.0009 from a whole number, such as " in said


def test_others_are_left_as_they_are() -> None:
    array = np.array([[[0, 0.5, 1.0011, np.nan, np.inf, 1.9999]]])
    found, said = rounded(PATH, array.copy())
    np.testing.assert_array_equal(found, [[[0, 0.5, 1.0011, np.nan, np.inf, 2]]])
    assert "1 voxels" in said and "1.9999" in said
    for whole in (np.array([[[0, 1, 7]]], np.int16), np.array([[[0.0, 1.0, 7.0]]])):
        assert rounded(PATH, whole)[1] == ""


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_every_format(tmp_path: Path, name: str) -> None:
    path = build.write(tmp_path / name, build.label_voxels().astype(np.float32) * np.float32(0.9999999))
    label = read_label(path)
    np.testing.assert_array_equal(label.array[0], build.label_voxels())
    assert "8 voxels" in label.rounded and "0.9999999" in label.rounded


def test_a_scale_in_the_header(tmp_path: Path) -> None:
    made = files.header(sform=(files.affine(), 1), dtype=np.int16, fields={"scl_slope": 0.99998})
    values = np.random.default_rng(0).integers(0, 4, files.SHAPE)
    label = read_label(files.write(tmp_path / "a.nii", values, made))
    np.testing.assert_array_equal(label.array[0].T, values)
    assert "6e-05 from a whole number, such as 2.99994" in label.rounded


@pytest.mark.parametrize("value", [0.9999999, 0.99999999999, 1.0000000001, 1234567.5, 1e15 + 0.5, 0.3, -2.0000001])
def test_a_fraction_is_seen(value: float) -> None:
    assert not float(written(value)).is_integer() and float(written(value)) == pytest.approx(value, rel=1e-6)


def test_whole_numbers_are_written_in_full() -> None:
    assert [written(v) for v in (1.0, 1234567.0, -3.0, np.nan, np.inf)] == ["1", "1234567", "-3", "nan", "inf"]
