"""What a program gives for one patient, as a case."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.dataset.load import load_case
from autoseg.dataset.one_case import one_case
from autoseg.errors import DatasetError, InputError
from tests.autoseg.dataset import build

CHANNELS = ("T1", "STIR")
SPACING = (3.0, 1.5, 1.0)


def loaded(given, spacing=SPACING):
    return load_case(one_case(given, CHANNELS, spacing), None, "as_stored")


def test_sequences_by_name_and_in_order_are_the_same_case():
    t1, stir = build.voxels(1), build.voxels(2)
    for given in ({"STIR": stir, "T1": t1}, [t1, stir], (t1, stir), np.stack([t1, stir])):
        case = loaded(given)
        np.testing.assert_array_equal(case.image, np.stack([t1, stir]))
        assert case.present == (True, True) and case.geometry.spacing == SPACING


def test_what_was_not_acquired_is_zero_and_absent():
    case = loaded({"STIR": build.voxels(2)})
    assert case.present == (False, True) and not case.image[0].any() and case.image[1].any()


def test_a_file_may_be_called_like_an_image_in_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    on_disk, held = build.voxels(1), build.voxels(2)
    build.write(Path("x.nii"), on_disk, spacing=SPACING[::-1], origin=(0, 0, 0))
    Path("x.nii").rename("STIR.nii")
    channels = ("T1", "STIR.nii")
    case = load_case(one_case({"T1": "STIR.nii", "STIR.nii": held}, channels, SPACING), None, "as_stored")
    np.testing.assert_array_equal(case.image, np.stack([on_disk, held]))


def test_what_does_not_fit_the_sequences_is_told():
    with pytest.raises(InputError, match=r"1 images are given for 2 sequences \(T1, STIR\); give None for one"):
        one_case([build.voxels()], CHANNELS, SPACING)
    with pytest.raises(DatasetError, match="image holds 1, expected 2; give an image for each sequence, as a dict by"):
        loaded(build.voxels())
    with pytest.raises(DatasetError, match="STIR and T1 do not overlap in space"):
        far = sitk.GetImageFromArray(build.voxels(2))
        far.SetOrigin((1000, 0, 0))
        loaded([build.voxels(1), far])
    with pytest.raises(InputError, match="spacing is given without an array"):
        one_case({"T1": "a.nii.gz"}, CHANNELS, SPACING)
