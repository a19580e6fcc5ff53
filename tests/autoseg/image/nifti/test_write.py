"""What is written carries both transforms, their codes and the unit of the image that it belongs to."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.image.image import Image, read_image, write_image
from tests.autoseg.image.nifti import files

FIELDS = (
    *("qform_code", "sform_code", "xyzt_units", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)
T = files.moved(7, -11, 5)
OBLIQUE = np.array([[0.9, -0.3, 0.1, 5.0], [0.3, 0.85, 0.2, -8.0], [-0.1, -0.2, 2.0, 3.0], [0, 0, 0, 1.0]])
OBLIQUE[:3, :3] = np.linalg.qr(OBLIQUE[:3, :3])[0] * [0.7, 0.8, 2.5]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("unit", [0, 2 | 8, 3])
@pytest.mark.parametrize(
    ("sform", "qform"),
    [
        ((T @ files.affine(), 4), (files.affine(), 1)),
        ((None, 0), (OBLIQUE, 1)),
        ((OBLIQUE, 2), (None, 0)),
        ((None, 0), (None, 0)),
    ],
)
@pytest.mark.parametrize("name", ["p.nii", "p.nii.gz"])
def test_the_fields_of_the_input(
    tmp_path: Path, name: str, version: int, unit: int, sform: tuple, qform: tuple
) -> None:
    made = files.header(sform=sform, qform=qform, version=version, fields={"xyzt_units": unit})
    image = read_image(files.write(tmp_path / "a.nii", files.voxels(), made))
    label = (image.array > 100).astype(np.uint8)
    write_image(tmp_path / name, Image(label, image.geometry, nifti=image.nifti))
    written = nib.load(tmp_path / name)
    assert type(written) is (nib.Nifti1Image if version == 1 else nib.Nifti2Image)
    for field in FIELDS:
        np.testing.assert_array_equal(written.header[field], made[field], err_msg=field)
    np.testing.assert_array_equal(written.header["pixdim"][:4], made["pixdim"][:4])
    assert written.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(written.dataobj), label[0].T)
    assert read_image(tmp_path / name).geometry == image.geometry


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_without_fields_both_transforms_have_the_geometry(tmp_path: Path, dtype: type, channels: int) -> None:
    image = read_image(files.write(tmp_path / "a.nii", files.voxels(), files.header(qform=(OBLIQUE, 1))))
    array = np.random.default_rng(0).integers(0, 50, (channels, 4, 5, 6)).astype(dtype)
    write_image(tmp_path / "b.nii.gz", Image(array, image.geometry))
    found = nib.load(tmp_path / "b.nii.gz")
    for affine in (found.get_sform(), found.get_qform()):
        np.testing.assert_allclose(affine, OBLIQUE, atol=1e-5)
    assert found.header["sform_code"] == found.header["qform_code"] == 1
    assert found.header.get_xyzt_units() == ("mm", "sec")
    itk = sitk.ReadImage(str(tmp_path / "b.nii.gz"))
    values = sitk.GetArrayFromImage(itk)
    np.testing.assert_array_equal(np.moveaxis(values, -1, 0) if channels > 1 else values[None], array)
    np.testing.assert_allclose(np.array(itk.GetOrigin()) * [-1, -1, 1], OBLIQUE[:3, 3], atol=1e-5)
    np.testing.assert_array_equal(read_image(tmp_path / "b.nii.gz").array, array.astype(np.float32))


def test_one_image_makes_one_file(tmp_path: Path) -> None:
    image = read_image(files.write(tmp_path / "a.nii", files.voxels()))
    for name in ("b.nii.gz", "c.nii.gz"):
        write_image(tmp_path / name, image)
    assert (tmp_path / "b.nii.gz").read_bytes() == (tmp_path / "c.nii.gz").read_bytes()


def test_an_axis_too_long_for_nifti_1(tmp_path: Path) -> None:
    image = read_image(files.write(tmp_path / "a.nii", files.voxels()))
    long = Image(np.ones((1, 1, 1, 40_000), np.uint8), image.geometry)
    write_image(tmp_path / "b.nii", long)
    assert nib.load(tmp_path / "b.nii").shape == (40_000, 1, 1)


def test_a_transform_that_is_damaged_is_written_as_none(tmp_path: Path) -> None:
    made = files.header(sform=(files.affine(), 1), qform=(files.affine(), 1), fields={"quatern_c": np.nan})
    image = read_image(files.write(tmp_path / "a.nii", files.voxels(), made))
    write_image(tmp_path / "b.nii", Image(image.array, image.geometry, nifti=image.nifti))
    written = nib.load(tmp_path / "b.nii").header
    assert (int(written["qform_code"]), int(written["sform_code"])) == (0, 1)
