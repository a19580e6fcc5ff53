"""Predicted voxels lie where those of their images do, for every order and direction of the axes in a file.

Voxels of 1 mm, as the plan has them, so that nothing is resampled and every voxel can be compared.
"""

from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk

from autoseg.dataset.inputs import read_inputs
from autoseg.run_folder.paths import RunFolder
from tests.autoseg.image.dicom import write as dicom
from tests.autoseg.image.dicom.test_read import ORIENTATIONS
from tests.inference.bright_run import predict, run, voxels

__all__ = ["run"]

ORIGIN = (-11.0, 7.5, 20.0)
# columns are the steps of the file's axes
TURNS = [
    np.diag(signs) @ np.eye(3)[:, list(order)]
    for order in permutations(range(3))
    for signs in product((1, -1), repeat=3)
]


def predicted(run: RunFolder, folder: Path) -> None:
    problems, _ = predict(run, read_inputs([folder], ("T1",)), folder.parent / "out")
    assert problems == ()


def test_every_order_and_direction_of_axes_of_nifti(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    array = voxels().T.astype(np.float32)
    for i, turn in enumerate(TURNS):
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = turn, ORIGIN
        nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / "in" / f"a{i}.nii.gz")
    predicted(run, tmp_path / "in")
    assert len(TURNS) == 48
    for i, turn in enumerate(TURNS):
        found = nibabel.load(tmp_path / "out" / f"a{i}.nii.gz")
        np.testing.assert_allclose(found.affine[:3, :3], turn, atol=1e-6)
        np.testing.assert_allclose(found.affine[:3, 3], ORIGIN)
        np.testing.assert_array_equal(np.asarray(found.dataobj), 500 * (array > array.mean()))


def test_every_order_and_direction_of_axes_of_nrrd(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i, turn in enumerate(TURNS):
        image = sitk.GetImageFromArray(voxels().astype(np.float32))
        image.SetOrigin(ORIGIN)
        image.SetDirection(turn.ravel().tolist())
        sitk.WriteImage(image, str(tmp_path / "in" / f"a{i}.nrrd"))
    predicted(run, tmp_path / "in")
    for i in range(len(TURNS)):
        before, after = (tmp_path / folder / f"a{i}.nrrd" for folder in ("in", "out"))
        assert place_in_header(before) == place_in_header(after)
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(before)))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(after))), 500 * (array > array.mean()))


def place_in_header(file: Path) -> list[str]:
    """The lines of an NRRD header that place its voxels."""
    lines = file.read_bytes().split(b"\n\n")[0].decode("ascii").splitlines()
    return sorted(line for line in lines if line.startswith("space"))


def test_every_orientation_of_dicom(run: RunFolder, tmp_path: Path) -> None:
    array = voxels().astype(np.int16)
    for i, orientation in enumerate(ORIENTATIONS):
        dicom.series(tmp_path / "in" / f"a{i}", dicom.stack(array, orientation, step=1.0, spacing=(1.0, 1.0)))
    predicted(run, tmp_path / "in")
    assert len(ORIENTATIONS) == 24
    for i in range(len(ORIENTATIONS)):
        found = nibabel.load(tmp_path / "out" / f"a{i}.nii.gz")
        seen = 0
        for values, places in dicom.values_and_places(tmp_path / "in" / f"a{i}"):
            # DICOM's x and y grow to left and posterior, those of NIfTI to right and anterior
            index = nibabel.affines.apply_affine(np.linalg.inv(found.affine), places * (-1, -1, 1))
            nearest = np.rint(index).astype(int)
            assert np.abs(index - nearest).max() < 1e-3
            bright = np.asarray(found.dataobj)[tuple(np.moveaxis(nearest, -1, 0))]
            np.testing.assert_array_equal(bright, 500 * (values > array.mean()))
            seen += values.size
        assert seen == array.size
