"""Grids that no scanner makes, and sheared axes, are refused in every format alike."""

import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.errors import ImageError
from autoseg.image.geometry import Geometry
from autoseg.image.image import read_geometry, read_image
from autoseg.image.sound_geometry import require_sound
from tests.autoseg.dataset import build
from tests.autoseg.image.nifti import files
from tests.example_record import STRAIGHT


def sheared(degrees: float) -> np.ndarray:
    """Columns of length 1, of which y leans towards x."""
    lean = math.radians(degrees)
    return np.array([[1, math.sin(lean), 0], [0, math.cos(lean), 0], [0, 0, 1.0]])


def written(path: Path, directions: np.ndarray, shape: tuple[int, int, int] = (20, 30, 40)) -> Path:
    """An image of 1 mm by the format's own library; ITK would straighten NIfTI."""
    array = build.voxels(0, shape)
    if path.suffix != ".nii":
        return build.write(path, array, spacing=(1, 1, 1), direction=directions)
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ directions
    return files.write(path, array.T, files.header(array.T.shape, sform=(affine, 1)))


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
def test_shear_is_refused_alike_in_every_format(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path / f"a{ending}", sheared(10))
    # the middle is kept: corners are 10 degrees of half an edge away, shared between the two axes
    for read in (read_image, read_geometry):
        with pytest.raises(
            ImageError, match=rf"a{ending}: its axes are sheared: two of them stand at 80° instead of 90°"
        ):
            read(path)


@pytest.mark.parametrize("qform", [True, False])
def test_a_sound_qform_is_named_as_a_way_where_there_is_one(tmp_path: Path, qform: bool) -> None:
    affine = np.eye(4)
    affine[:3, :3] = sheared(10)
    made = files.header(sform=(affine, 1), **({"qform": (np.eye(4), 1)} if qform else {}))
    with pytest.raises(ImageError, match="axes are sheared") as refused:
        read_image(files.write(tmp_path / "a.nii", files.voxels(), made))
    assert ("set sform_code to 0" in str(refused.value)) == qform


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
def test_shear_of_few_voxels_is_refused_too(tmp_path: Path, ending: str) -> None:
    with pytest.raises(ImageError, match="axes are sheared: two of them stand at 88°"):
        read_image(written(tmp_path / f"a{ending}", sheared(2), (2, 2, 2)))


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
def test_rounded_directions_are_read(tmp_path: Path, ending: str) -> None:
    turn = np.array(sitk.Euler3DTransform((0, 0, 0), 0.2, -0.15, 0.3).GetMatrix()).reshape(3, 3).round(3)
    directions = np.array(read_image(written(tmp_path / f"a{ending}", turn)).geometry.direction)
    np.testing.assert_allclose(directions[::-1].T, turn, atol=2e-3)


@pytest.mark.parametrize(
    ("spacing", "shape", "told"),
    [
        (
            (1e6, 1.0, 1.0),
            (4, 5, 6),
            "a spacing of 1 × 1 × 1e+06 mm .x, y, z.; no scanner makes voxels of more than 200 mm",
        ),
        ((1000.0, 1000.0, 1000.0), (4, 5, 6), "no scanner makes voxels"),
        ((100.0, 1.0, 1.0), (101, 5, 6), "an extent of 6 × 5 × 10100 mm; no scan is that large"),
        ((0.0, 1.0, 1.0), (4, 5, 6), "a spacing of 1 × 1 × 0 mm"),
        ((1e-7, 1.0, 1.0), (4, 5, 6), "a spacing of 1 × 1 × 1e-07 mm"),
        ((math.nan, 1.0, 1.0), (4, 5, 6), "a spacing of 1 × 1 × nan mm"),
        ((math.inf, 1.0, 1.0), (4, 5, 6), "a spacing of 1 × 1 × inf mm"),
    ],
)
def test_what_no_scanner_makes(spacing: tuple, shape: tuple, told: str) -> None:
    with pytest.raises(ImageError, match=rf"a\.x: .*{told.replace('+', '.')}"):
        require_sound(Path("a.x"), Geometry(shape, spacing, (0.0, 0.0, 0.0), STRAIGHT))


def test_large_images_are_read() -> None:
    require_sound(Path("a.x"), Geometry((200, 512, 512), (10.0, 1.5, 1.5), (0.0, 0.0, 0.0), STRAIGHT))
    require_sound(Path("a.x"), Geometry((3, 512, 512), (100.0, 1.0, 1.0), (0.0, 0.0, 0.0), STRAIGHT))


@pytest.mark.parametrize("origin", [(math.nan, 0.0, 0.0), (0.0, math.inf, 0.0), (0.0, 0.0, 1e10)])
def test_a_place_that_is_no_number(origin: tuple[float, float, float]) -> None:
    with pytest.raises(
        ImageError, match=r"a\.x: its header is wrong, it declares its first voxel at .*(nan|inf|1e.10)"
    ):
        require_sound(Path("a.x"), Geometry((4, 5, 6), (1.0, 1.0, 1.0), origin, STRAIGHT))
