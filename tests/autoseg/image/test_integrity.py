"""Files that ITK would read without a word: truncated ones, and numbers that are not finite."""

import gzip

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.errors import ImageError
from autoseg.image.image import read_geometry, read_image, read_label
from tests.autoseg.dataset import build

PLAIN = [".nii", ".nii.gz", ".gipl", ".gipl.gz", ".vtk", ".nrrd", ".mha"]


@pytest.mark.parametrize("ending", [*PLAIN, ".hdr"])
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_whole_files_pass(tmp_path, ending, dtype):
    array = build.voxels().astype(dtype)
    path = build.write(tmp_path / f"a{ending}", array)
    np.testing.assert_array_equal(read_image(path).array[0], array)


@pytest.mark.parametrize("ending", PLAIN)
@pytest.mark.parametrize("share", [0.6, 0.99])
def test_truncated_files_are_refused(tmp_path, ending, share):
    path = build.write(tmp_path / f"a{ending}", build.voxels(0, (10, 20, 30)))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    for read in (read_image, read_label):
        with pytest.raises(ImageError, match=f"a{ending}"):
            read(path)


def test_voxels_beside_a_nifti_header_truncated(tmp_path):
    path = build.write(tmp_path / "a.hdr", build.voxels())
    voxels = tmp_path / "a.img"
    voxels.write_bytes(voxels.read_bytes()[:-4])
    with pytest.raises(ImageError, match="truncated"):
        read_image(path)


def test_content_truncated_before_it_was_compressed(tmp_path):
    path = build.write(tmp_path / "a.nii.gz", build.voxels())
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-40]))
    with pytest.raises(ImageError, match="truncated, holds 792 of 832 bytes"):
        read_image(path)


def test_wrong_checksum(tmp_path):
    path = build.write(tmp_path / "a.nii.gz", build.voxels())
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ImageError, match="damaged"):
        read_image(path)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".hdr", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
def test_numbers_that_are_not_finite_are_found_where_they_are(tmp_path, ending, dtype, channels):
    array = build.voxels(0, (channels, 11, 12, 13)).astype(dtype)
    where = np.random.default_rng(0).random(array.shape) < 0.05
    array[where] = np.random.default_rng(1).choice([np.nan, np.inf, -np.inf], where.sum())
    path = build.write(tmp_path / f"a{ending}", array if channels > 1 else array[0])
    np.testing.assert_array_equal(~np.isfinite(read_image(path).array), where)


def test_not_finite_in_a_file_of_the_other_byte_order(tmp_path):
    array = build.voxels()
    array[1, 2, 3] = np.nan
    path = tmp_path / "a.nrrd"
    header = "NRRD0004\ntype: float\ndimension: 3\nsizes: 6 5 4\nendian: big\nencoding: raw\n\n"
    path.write_bytes(header.encode() + array.astype(">f4").tobytes())
    np.testing.assert_array_equal(~np.isfinite(read_image(path).array[0]), np.isnan(array))
    little = build.write(tmp_path / "a.nii", array).read_bytes()
    big = byte_swapped(little)
    (tmp_path / "b.nii").write_bytes(big)
    np.testing.assert_array_equal(~np.isfinite(read_image(tmp_path / "b.nii").array[0]), np.isnan(array))


def byte_swapped(nifti: bytes) -> bytes:
    """A NIfTI-1 file of float32 in the other byte order (fields as in nifti1.h)."""
    fields = "i4,S10,S18,i4,i2,S1,S1,8i2,3f4,i2,i2,i2,i2,8f4,f4,f4,f4,i2,S1,S1,4f4,2i4,S80,S24,2i2,6f4,12f4,S16,S4"
    little = np.dtype(
        [(f"f{i}", "<" + field if field[0] != "S" else field) for i, field in enumerate(fields.split(","))]
    )
    assert little.itemsize == 348
    header = np.frombuffer(nifti[:348], little).astype(little.newbyteorder(">"))
    return header.tobytes() + nifti[348:352] + np.frombuffer(nifti[352:], "<f4").astype(">f4").tobytes()


def test_vector_nifti(tmp_path):
    array = build.voxels(0, (4, 5, 6, 3))
    array[1, 2, 3, 2] = np.nan
    path = tmp_path / "a.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=True), str(path))
    found = read_image(path).array
    assert found.shape == (3, 4, 5, 6)
    np.testing.assert_array_equal(np.argwhere(np.isnan(found)), [[2, 1, 2, 3]])


def test_vectors_of_bytes_pass(tmp_path):
    array = np.random.default_rng(0).integers(0, 255, (4, 5, 6, 3)).astype(np.uint8)
    path = tmp_path / "a.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=True), str(path))
    np.testing.assert_array_equal(read_image(path).array, np.moveaxis(array, -1, 0))


def test_dicom_slice_missing_or_truncated(tmp_path):
    array = np.random.default_rng(0).integers(0, 1000, (8, 30, 40))
    folder = build.dicom(tmp_path / "scan", array)
    np.testing.assert_array_equal(read_image(folder).array[0], array)
    content = (folder / "slice_005.dcm").read_bytes()
    (folder / "slice_005.dcm").write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match=r"slice_005\.dcm: .*truncated"):
        read_image(folder)
    last = (folder / "slice_007.dcm").read_bytes()
    (folder / "slice_005.dcm").write_bytes(content)
    (folder / "slice_007.dcm").write_bytes(last[:-100])
    with pytest.raises(ImageError, match=r"slice_007\.dcm: .*truncated"):
        read_image(folder)
    (folder / "slice_007.dcm").write_bytes(last)
    (folder / "slice_005.dcm").unlink()
    with pytest.raises(ImageError, match=r"one slice is missing after slice 5 of 7 \(slice_004\.dcm\)"):
        read_image(folder)


def test_a_dicom_series_of_a_tilted_gantry_is_refused(tmp_path):
    array = np.random.default_rng(0).integers(0, 1000, (8, 30, 40))
    with pytest.raises(ImageError, match=r"shifted against each other by 7\.0 mm"):
        read_image(build.dicom(tmp_path / "tilted", array, shift=1.0))
    # rounding of positions is no tilt
    read_image(build.dicom(tmp_path / "rounded", array, shift=0.01))


def test_a_file_called_nifti_is_read_as_nifti_alone(tmp_path):
    # the voxels of HDF5 may lie in any other file of the machine
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((4, 5, 6), np.uint8)), str(tmp_path / "image.h5"))
    assert read_image(tmp_path / "image.h5").array.shape == (1, 4, 5, 6)
    (tmp_path / "image.h5").rename(tmp_path / "image.nii.gz")
    for read in (read_image, read_label, read_geometry):
        with pytest.raises(ImageError, match=r"image\.nii\.gz: .*no NIfTI file although its name says so"):
            read(tmp_path / "image.nii.gz")
