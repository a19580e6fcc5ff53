"""Predictions in PNG hold the values themselves, whatever program reads them."""

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image as pillow

from autoseg.errors import ImageError
from autoseg.image.flat.kind import grid
from autoseg.image.flat.resolution import NO_MEASUREMENT
from autoseg.image.image import Image, read_geometry, read_label, write_image

VALUES = np.random.default_rng(0).choice([0, 1, 2, 255], (1, 1, 20, 30))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_program_reads_the_same_values(dtype: type, tmp_path: Path) -> None:
    array = (VALUES * (1 if dtype is np.uint8 else 250)).astype(dtype)
    path = tmp_path / "a.png"
    write_image(path, Image(array, grid(20, 30, (0.4, 0.25))))
    plane = array[0, 0]
    assert np.array_equal(np.asarray(pillow.open(path)), plane)
    assert np.array_equal(imageio.imread(path), plane) and imageio.imread(path).dtype == dtype
    image = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayFromImage(image), plane)
    label = read_label(path)
    assert np.array_equal(label.array, array) and label.geometry.spacing == (1.0, 0.4, 0.25)


def test_opencv_reads_the_same_values(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    write_image(tmp_path / "a.png", Image(VALUES.astype(np.uint8), grid(20, 30, (1.0, 1.0))))
    assert np.array_equal(cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED), VALUES[0, 0])


def test_what_may_be_a_size_that_nobody_knows_is_told_to_no_other_program(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", Image(VALUES.astype(np.uint8), grid(20, 30, (1.0, 1.0))))
    assert "dpi" not in pillow.open(tmp_path / "a.png").info
    label = read_label(tmp_path / "a.png")
    assert (label.sized_by, label.geometry.spacing) == ("stated", (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    "spacing",
    [
        *((25.4 / dpi,) * 2 for dpi in NO_MEASUREMENT),
        (0.264583, 0.264583),
        (0.0846667, 0.254),
        (1 / 3, 2e-6),
        (25.4, 25.4),
    ],
)
def test_every_size_is_read_again_exactly(spacing: tuple[float, float], tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", Image(VALUES.astype(np.uint8), grid(20, 30, spacing)))
    for geometry in (read_label(tmp_path / "a.png").geometry, read_geometry(tmp_path / "a.png")[0]):
        assert geometry.spacing == (1.0, *spacing)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((1, 1, 4, 5), -1), "PNG holds the values 0 to 65535"),
        (np.full((1, 1, 4, 5), 70000), "PNG holds the values 0 to 65535"),
        (np.zeros((1, 2, 4, 5), np.uint8), "one slice along z; write NIfTI"),
        (np.zeros((1, 1, 4, 5), np.float32), "one slice along z; write NIfTI"),
    ],
)
def test_what_png_cannot_hold_is_refused(array: np.ndarray, message: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=message):
        write_image(tmp_path / "a.png", Image(array, grid(4, 5, (1.0, 1.0))))
    assert list(tmp_path.iterdir()) == []
