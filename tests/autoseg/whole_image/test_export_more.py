"""A prediction's voxels lie where its image's do, over the 48 orientations, by readers other than autoseg's."""

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.dataset.case import Case
from autoseg.dataset.load import load_case
from autoseg.image.image import write_image
from autoseg.image.labels import Labels
from autoseg.whole_image.export import label_image
from tests.autoseg.image.nifti import files
from tests.example_record import example_record

LABELS = Labels(values=(0, 200), names=("background", "lesion"))
OBLIQUE = np.array(sitk.Euler3DTransform((0, 0, 0), 0.2, -0.15, 0.3).GetMatrix()).reshape(3, 3)
CASES = [
    (axes, sides, direction)
    for axes in itertools.permutations(range(3))
    for sides in itertools.product((-1, 1), repeat=3)
    for direction in ("straight", "oblique")
]


def predicted(image: Path, target: Path) -> None:
    """Write the label map of what is brighter than 100, as `predict` writes label maps."""
    loaded = load_case(Case("a", (image,)), None, "canonical")
    record = example_record(loaded.stored, reorientation=loaded.reorientation).changed(nifti=loaded.nifti)
    write_image(target, label_image((loaded.image[0] > 100).astype(np.uint8), record, LABELS))


def directions(axes: tuple[int, ...], sides: tuple[int, ...], direction: str) -> np.ndarray:
    return (OBLIQUE if direction == "oblique" else np.eye(3)) @ np.eye(3)[:, list(axes)] * sides


@pytest.mark.parametrize(("axes", "sides", "direction"), CASES)
def test_nifti(tmp_path: Path, axes: tuple[int, ...], sides: tuple[int, ...], direction: str) -> None:
    sform = np.eye(4)
    sform[:3, :3] = directions(axes, sides, direction) * [1, 1.5, 3]
    sform[:3, 3] = 10, -20, 30
    made = files.header(sform=(sform, 2), qform=(files.moved(7, -11, 5) @ sform, 1), fields={"xyzt_units": 10})
    predicted(files.write(tmp_path / "a.nii.gz", files.voxels(), made), tmp_path / "p.nii.gz")
    image, label = nib.load(tmp_path / "a.nii.gz"), nib.load(tmp_path / "p.nii.gz")
    np.testing.assert_array_equal(np.asarray(label.dataobj), 200 * (files.voxels() > 100))
    for kind in ("get_sform", "get_qform"):
        affine, code = getattr(label.header, kind)(coded=True)
        expected, expected_code = getattr(image.header, kind)(coded=True)
        np.testing.assert_array_equal(affine, expected)
        assert code == expected_code
    np.testing.assert_array_equal(label.affine, image.affine)
    assert label.header["xyzt_units"] == image.header["xyzt_units"]


@pytest.mark.parametrize(("axes", "sides", "direction"), CASES)
def test_nrrd(tmp_path: Path, axes: tuple[int, ...], sides: tuple[int, ...], direction: str) -> None:
    image = sitk.GetImageFromArray(files.voxels().T)
    image.SetSpacing((1, 1.5, 3))
    image.SetOrigin((10, -20, 30))
    image.SetDirection(directions(axes, sides, direction).ravel().tolist())
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    predicted(tmp_path / "a.nrrd", tmp_path / "p.nrrd")
    label = sitk.ReadImage(str(tmp_path / "p.nrrd"))
    for x, y, z in itertools.product(*(range(n) for n in files.SHAPE)):
        at = label.TransformPhysicalPointToIndex(image.TransformIndexToPhysicalPoint((x, y, z)))
        assert label[at] == 200 * (image[x, y, z] > 100)
