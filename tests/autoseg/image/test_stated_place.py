"""What a text header leaves open about the place of its voxels is told, with what is taken."""

from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.image.image import read_image, read_label
from autoseg.image.text_headers import header_fields

VOXELS = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
STEPS = np.diag([0.5, 0.75, 3.0])


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({}, "states no size of its voxels: 1 mm is taken"),
        ({"spacings": [0.5, 0.75, 3.0]}, "states no directions: taken are x to the left"),
        ({"space": "scanner-xyz", "space directions": STEPS}, "its space 'scanner-xyz' does not say how the patient"),
        ({"space dimension": 3, "space directions": STEPS}, "names no space"),
        ({"space": "left-posterior-superior", "space directions": STEPS}, None),
        ({"space": "right-anterior-superior", "space directions": STEPS}, None),
        ({"space": "LAS", "space directions": STEPS}, None),
    ],
    ids=str,
)
def test_nrrd(tmp_path: Path, header: dict[str, object], told: str | None) -> None:
    path = tmp_path / "a.nrrd"
    nrrd.write(str(path), VOXELS, header)
    image = read_image(path)
    assert image.geometry.spacing == ((1, 1, 1) if "no size" in str(told) else (3.0, 0.75, 0.5))
    assert len(image.notes) == (told is not None) and (told is None or told in image.notes[0])
    assert read_label(path).notes == image.notes


@pytest.mark.parametrize("stated", [True, False])
def test_meta_image(tmp_path: Path, stated: bool) -> None:
    path = tmp_path / "a.mha"
    image = sitk.GetImageFromArray(VOXELS)
    image.SetSpacing((0.5, 0.75, 3.0))
    sitk.WriteImage(image, str(path))
    if not stated:
        content = path.read_bytes()
        path.write_bytes(content.replace(b"ElementSpacing = 0.5 0.75 3\n", b""))
    assert ("elementspacing" in header_fields(path)) == stated
    notes = read_image(path).notes
    assert notes == () if stated else "states no size of its voxels" in notes[0]


@pytest.mark.parametrize("volumes", [1, 2])
def test_what_itk_writes_of_other_dimensions_is_not_told(tmp_path: Path, volumes: int) -> None:
    """NRRD has no name for a space of two or four dimensions, so that ITK can write none."""
    image = sitk.GetImageFromArray(VOXELS)
    sitk.WriteImage(image[:, :, 0] if volumes == 1 else sitk.JoinSeries(image, image), str(tmp_path / "a.nrrd"))
    assert header_fields(tmp_path / "a.nrrd")["space dimension"] in ("2", "4")
    assert read_image(tmp_path / "a.nrrd").notes == ()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("a.nrrd", b"left-posterior-superior", b"left posterior superior"),
        ("a.nrrd", b"left-posterior-superior", b"LeftPosteriorSuperior"),
        ("a.nrrd", b"space directions", b"spacedirections"),
        ("a.mha", b" = ", b": "),
    ],
)
def test_other_legal_spellings(tmp_path: Path, name: str, old: bytes, new: bytes) -> None:
    path = tmp_path / name
    image = sitk.GetImageFromArray(VOXELS)
    image.SetSpacing((0.5, 0.75, 3.0))
    sitk.WriteImage(image, str(path))
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    read = read_image(path)
    assert read.notes == () and read.geometry.spacing == (3.0, 0.75, 0.5)
    np.testing.assert_array_equal(read.array[0], VOXELS)


def test_vtk_is_taken_as_it_is(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(tmp_path / "a.vtk"))
    assert read_image(tmp_path / "a.vtk").notes == ()
