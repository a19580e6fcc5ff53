"""Values and forms of NIfTI-1, NIfTI-2 and MGH files, beside nibabel; misnamed, damaged and hostile ones are told."""

import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.errors import ImageError
from autoseg.image.image import read_geometry, read_image, read_label
from tests.autoseg.image.nifti import files

DTYPES = (np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.float32, np.float64)


def whole(shape: tuple[int, ...] = files.SHAPE) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 100, shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("version", [1, 2])
def test_every_type_in_either_byte_order(tmp_path: Path, dtype: type, order: str, version: int) -> None:
    made = files.header(sform=(files.affine(), 1), dtype=dtype, order=order, version=version)
    path = files.write(tmp_path / "a.nii.gz", whole(), made)
    image, label = read_image(path), read_label(path)
    assert image.array.dtype == np.float32 and label.array.dtype == np.dtype(dtype)
    for found in (image, label):
        np.testing.assert_array_equal(found.array[0].T, whole())
        np.testing.assert_array_equal(found.array[0].T, nib.load(path).get_fdata())


@pytest.mark.parametrize("scale", [(2.0, -1.0), (0.001, 0.0), (np.nan, 3.0), (0.0, 3.0), (1.0, 5.0), (np.inf, 0.0)])
@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
def test_slope_and_intercept_as_nibabel_applies_them(tmp_path: Path, scale: tuple[float, float], dtype: type) -> None:
    made = files.header(sform=(files.affine(), 1), dtype=dtype)
    made["scl_slope"], made["scl_inter"] = scale
    path = files.write(tmp_path / "a.nii", whole(), made)
    expected = nib.load(path).get_fdata()
    np.testing.assert_array_equal(read_image(path).array[0].T, expected.astype(np.float32))
    np.testing.assert_allclose(read_label(path).array[0].T, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "channels"),
    [((6, 5), 1), ((6, 5, 4, 3), 3), ((6, 5, 4, 1), 1), ((6, 5, 4, 1, 3), 3), ((6, 5, 4, 1, 1), 1)],
)
def test_dimensions_become_channels(tmp_path: Path, shape: tuple[int, ...], channels: int) -> None:
    array = files.voxels(shape)
    path = files.write(tmp_path / "a.nii", array)
    image = read_image(path)
    three = array.reshape(*(*shape, 1)[:3], -1)
    np.testing.assert_array_equal(image.array, np.moveaxis(three, -1, 0).transpose(0, 3, 2, 1))
    assert read_geometry(path) == (image.geometry, channels)


def test_time_and_vectors_at_once_are_refused(tmp_path: Path) -> None:
    path = files.write(tmp_path / "a.nii", files.voxels((3, 3, 3, 2, 2)))
    with pytest.raises(ImageError, match=r"a\.nii: has 5 dimensions, expected 3"):
        read_image(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mgh", "a.mgz"])
@pytest.mark.parametrize("packed", [True, False])
def test_the_content_decides_whether_a_file_is_unfolded(tmp_path: Path, name: str, packed: bool) -> None:
    """A `.nii` that was renamed to `.nii.gz`, and the reverse, are read."""
    write = files.write if ".nii" in name else lambda *a, **k: files.write_mgh(*a, files.affine(), **k)
    path = write(tmp_path / name, files.voxels(), packed=packed)
    for read in (read_image, read_label):
        np.testing.assert_array_equal(read(path).array[0].T, files.voxels())


@pytest.mark.parametrize("kind", ["complex64", "complex128", "RGB", "RGBA"])
def test_complex_numbers_and_colours_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    made = files.header(sform=(files.affine(), 1), dtype=np.float32)
    made.set_data_dtype(kind)
    path = tmp_path / "a.nii"
    path.write_bytes(made.binaryblock + bytes(4) + bytes(120 * made.get_data_dtype().itemsize))
    for read in (read_image, read_label, read_geometry):
        with pytest.raises(ImageError, match=rf"a\.nii: its voxels are .*\({kind}\).*export"):
            read(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.uint16])
@pytest.mark.parametrize("frames", [1, 3])
def test_mgh_as_nibabel_reads_it(tmp_path: Path, dtype: type, frames: int) -> None:
    array = whole((*files.SHAPE, frames) if frames > 1 else files.SHAPE).astype(dtype)
    turned = np.array([[0, 0, 2.0, 5], [-1.5, 0, 0, 7], [0, -1, 0, -3], [0, 0, 0, 1]])
    nib.save(nib.MGHImage(array, turned), tmp_path / "a.mgz")
    found = read_image(tmp_path / "a.mgz")
    np.testing.assert_array_equal(found.array, array.reshape(*files.SHAPE, frames).T)
    index = np.array([5.0, 4.0, 3.0])
    np.testing.assert_allclose(
        found.geometry.to_world(index[::-1]) * [-1, -1, 1], nib.affines.apply_affine(turned, index), atol=1e-4
    )
    assert read_geometry(tmp_path / "a.mgz") == (found.geometry, frames)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"goodRASFlag": 0}, "does not say where its voxels lie .*mri_convert"),
        ({"type": 7}, "states the type 7"),
        ({"dims": [6, 5, -4, 1]}, "an image of no voxel"),
        ({"dims": [1300, 1300, 1300, 1]}, "truncated"),
        ({"Mdc": np.full((3, 3), np.nan)}, "its header is wrong"),
        ({"version": 2}, "no MGH file although its name says so"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_mgh_that_is_wrong(tmp_path: Path, fields: dict[str, object], told: str, packed: bool) -> None:
    path = files.write_mgh(tmp_path / "a.mgz", files.voxels(), files.affine(), packed=packed, **fields)
    with pytest.raises(ImageError, match=rf"a\.mgz: .*{told}"):
        read_image(path)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"dim": [3, 1300, 1300, 1300, 1, 1, 1, 1]}, "truncated"),
        ({"dim": [3, 6, -5, 4, 1, 1, 1, 1]}, "an image of no voxel"),
        ({"dim": [9, 6, 5, 4, 1, 1, 1, 1]}, "9 dimensions"),
        ({"vox_offset": 1_500_000_000}, "truncated"),
        ({"vox_offset": 0}, "begin at byte 0"),
        ({"vox_offset": -4}, "begin at byte -4"),
        ({"datatype": 1}, "NIfTI type 1,"),
        ({"datatype": 1536}, "NIfTI type 1536,"),
        ({"scl_slope": 2, "scl_inter": np.nan}, "scaled by 2 and nan"),
        ({"magic": b"ni1"}, "another file"),
        ({"magic": b"xyz"}, "no NIfTI file although its name says so"),
    ],
)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_headers_that_are_wrong(tmp_path: Path, name: str, fields: dict, told: str, version: int) -> None:
    if version == 2 and fields.get("magic") == b"ni1":
        fields = {"magic": b"ni2"}
    path = files.write(
        tmp_path / name, files.voxels(), files.header(sform=(files.affine(), 1), version=version, fields=fields)
    )
    with pytest.raises(ImageError, match=rf"{name}: .*{told}"):
        read_image(path)


def test_a_huge_nifti_2_is_refused_by_its_file(tmp_path: Path) -> None:
    fields = {"dim": [3, 2**40, 2**40, 2**40, 1, 1, 1, 1]}
    made = files.header(sform=(files.affine((1e-9, 1e-9, 1e-9)), 1), version=2, fields=fields)
    with pytest.raises(ImageError, match=r"a\.nii: "):
        read_image(files.write(tmp_path / "a.nii", files.voxels(), made))


def test_two_files(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(files.voxels().T), str(tmp_path / "a.hdr"))
    for name in ("a.hdr", "a.img"):
        np.testing.assert_array_equal(read_image(tmp_path / name).array[0].T, files.voxels())
    (tmp_path / "a.img").unlink()
    with pytest.raises(ImageError, match=r"a\.hdr: its voxels lie in a file \.img of the same name, which is missing"):
        read_image(tmp_path / "a.hdr")


def test_analyze_is_refused_since_it_has_no_sides(tmp_path: Path) -> None:
    nib.save(nib.AnalyzeImage(files.voxels(), files.affine()), tmp_path / "a.hdr")
    with pytest.raises(ImageError, match=r"a\.hdr: is Analyze 7\.5, which does not say where left and right are"):
        read_image(tmp_path / "a.hdr")


def test_nifti_under_another_name_is_told(tmp_path: Path) -> None:
    path = files.write(tmp_path / "a.nrrd.bak", files.voxels())
    with pytest.raises(ImageError, match=r"a\.nrrd\.bak: is NIfTI under a name of another format; rename it to \.nii"):
        read_image(path)


def test_header_bytes_beyond_the_header_are_skipped(tmp_path: Path) -> None:
    """An extension lies between the header and the voxels."""
    made = files.header(sform=(files.affine(), 1), fields={"vox_offset": 352 + 64})
    content = made.binaryblock + bytes([1, 0, 0, 0]) + struct.pack("<2i", 64, 6) + bytes(56)
    path = tmp_path / "a.nii"
    path.write_bytes(content + files.voxels().tobytes(order="F"))
    np.testing.assert_array_equal(read_image(path).array[0].T, files.voxels())
