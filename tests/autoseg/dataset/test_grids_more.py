"""Label maps beside their image's grid: accepted to a twentieth of a voxel, turned where axes are stored otherwise."""

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.dataset.case import Case
from autoseg.dataset.grids import placed_on
from autoseg.dataset.load import load_case
from autoseg.errors import DatasetError
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, read_geometry
from autoseg.image.labels import Labels
from tests.autoseg.dataset import build
from tests.autoseg.image.nifti import files
from tests.example_record import STRAIGHT

LABELS = Labels(values=(0, 1), names=("background", "lesion"))
TARGET = Geometry((4, 5, 6), (3.0, 1.5, 1.0), (10.0, -20.0, 30.0), STRAIGHT)


def shifted(millimetres: float) -> Geometry:
    return Geometry(TARGET.shape, TARGET.spacing, (10.0, -20.0, 30.0 + millimetres), STRAIGHT)


@pytest.mark.parametrize(
    ("shift", "told"), [(0.002, ""), (0.01, "0.01 mm (0.00333 voxels)"), (0.14, "0.14 mm (0.0467")]
)
def test_a_twentieth_of_a_voxel_is_accepted_and_told(shift: float, told: str) -> None:
    placed = placed_on(Image(build.voxels()[None], shifted(shift)), TARGET)
    assert placed is not None and told in placed.beside and bool(told) == bool(placed.beside)
    np.testing.assert_array_equal(placed.array[0], build.voxels())


@pytest.mark.parametrize("shift", [0.16, 3.0])
def test_more_is_refused(shift: float) -> None:
    assert placed_on(Image(build.voxels()[None], shifted(shift)), TARGET) is None


def test_a_label_a_little_beside_its_image_is_read_with_a_warning(tmp_path: Path) -> None:
    image = build.write(tmp_path / "image.nii.gz", build.voxels())
    label = build.write(tmp_path / "label.nrrd", build.label_voxels(), origin=(10.01, -20, 30))
    loaded = load_case(Case("a", (image,), label), LABELS, "as_stored")
    np.testing.assert_array_equal(loaded.label, build.label_voxels())
    (warning,) = loaded.warnings
    assert "label.nrrd lies beside the grid of the image (corners up to 0.01 mm (0.01 voxels) apart)" in warning


def test_a_channel_a_little_beside_the_first_is_not_resampled(tmp_path: Path) -> None:
    first = build.write(tmp_path / "T1.nrrd", build.voxels(0))
    second = build.write(tmp_path / "T2.nrrd", build.voxels(1), origin=(10.01, -20, 30))
    loaded = load_case(Case("a", (first, second)), None, "as_stored")
    np.testing.assert_array_equal(loaded.image[1], build.voxels(1))
    assert "taken as lying on it" in loaded.warnings[0]


@pytest.mark.parametrize("made_by", ["nibabel", "ITK", "ITK of the qform's space"])
def test_a_label_of_an_image_with_two_transforms(tmp_path: Path, made_by: str) -> None:
    """Programs that take either transform write labels on the same voxels."""
    both = files.header(sform=(files.moved(7, -11, 5) @ files.affine(), 4), qform=(files.affine(), 1))
    image = files.write(tmp_path / "image.nii", files.voxels(), both)
    values = (files.voxels() > 100).astype(np.uint8)
    if made_by == "nibabel":
        nib.save(nib.Nifti1Image(values, nib.load(image).affine), tmp_path / "label.nii")
    else:
        label = sitk.GetImageFromArray(values.T)
        # ITK itself takes the qform here, since the sform is not that of the scanner
        label.CopyInformation(sitk.ReadImage(str(image)))
        sitk.WriteImage(sitk.DICOMOrient(label, "RPI") if "space" in made_by else label, str(tmp_path / "label.nii"))
    loaded = load_case(Case("a", (image,), tmp_path / "label.nii"), LABELS, "as_stored")
    np.testing.assert_array_equal(loaded.label, values.T)
    told = [warning for warning in loaded.warnings if "header's other transform" in warning]
    assert len(told) == (made_by != "nibabel") and all("14 mm apart" in warning for warning in told)


@pytest.mark.parametrize("by_itk", [True, False])
def test_a_label_of_an_image_without_transforms(tmp_path: Path, by_itk: bool) -> None:
    image = files.write(
        tmp_path / "image.nii", files.voxels(), files.header(fields={"pixdim": [1, 1, 1.5, 3, 1, 1, 1, 1]})
    )
    values = (files.voxels() > 100).astype(np.uint8)
    if by_itk:
        label = sitk.GetImageFromArray(values.T)
        label.CopyInformation(sitk.ReadImage(str(image)))
        sitk.WriteImage(label, str(tmp_path / "label.nii"))
    else:
        nib.save(nib.Nifti1Image(values, nib.load(image).affine), tmp_path / "label.nii")
    loaded = load_case(Case("a", (image,), tmp_path / "label.nii"), LABELS, "as_stored")
    np.testing.assert_array_equal(loaded.label, values.T)


def test_a_label_on_neither_transform_is_refused(tmp_path: Path) -> None:
    both = files.header(sform=(files.moved(7, -11, 5) @ files.affine(), 4), qform=(files.affine(), 1))
    image = files.write(tmp_path / "image.nii", files.voxels(), both)
    elsewhere = files.header(sform=(files.moved(3, 0, 0) @ files.affine(), 1), dtype=np.uint8)
    label = files.write(tmp_path / "label.nii", np.ones(files.SHAPE, np.uint8), elsewhere)
    with pytest.raises(DatasetError, match=r"but lies 12\.7 mm .* its two transforms place it up to 14 mm"):
        load_case(Case("a", (image,), label), LABELS, "as_stored")


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
def test_a_label_stored_along_other_axes(tmp_path: Path, ending: str, axes: tuple[int, ...]) -> None:
    image = build.write(tmp_path / f"image{ending}", build.voxels())
    label = build.write(tmp_path / f"label{ending}", build.label_voxels())
    for sides in itertools.product((0, 1), repeat=3):
        letters = "".join(("RL", "AP", "IS")[axis][side] for axis, side in zip(axes, sides, strict=True))
        turned = tmp_path / f"{letters}{ending}"
        sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(label)), letters), str(turned))
        loaded = load_case(Case("a", (image,), turned), LABELS, "as_stored")
        np.testing.assert_array_equal(loaded.label, build.label_voxels())
        assert loaded.warnings == () and loaded.geometry == read_geometry(image)[0]


def test_voxels_stored_in_one_order_are_not_turned_to_fit_the_other_transform() -> None:
    """The two transforms of an image differ by a mirrored x axis over the same box, so that a label fits both."""
    x, y, z = TARGET.origin
    mirrored = Geometry(
        TARGET.shape,
        TARGET.spacing,
        (x + (TARGET.shape[2] - 1) * TARGET.spacing[2], y, z),
        (STRAIGHT[0], STRAIGHT[1], (-STRAIGHT[2][0], -STRAIGHT[2][1], -STRAIGHT[2][2])),
    )
    label = Image(build.label_voxels()[None], mirrored)
    placed = placed_on(label, TARGET, (mirrored,))
    assert placed is not None and "the same voxels by the header's other transform" in placed.beside
    np.testing.assert_array_equal(placed.array[0], build.label_voxels())
    turned = placed_on(label, TARGET)
    assert turned is not None
    np.testing.assert_array_equal(turned.array[0], build.label_voxels()[:, :, ::-1])
