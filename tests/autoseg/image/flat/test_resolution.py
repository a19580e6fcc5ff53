"""Resolutions of files that other programs write, and those that are no measurement."""

import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image as pillow
from PIL.PngImagePlugin import PngInfo

from autoseg.errors import ImageError
from autoseg.image.flat.resolution import SPACING_KEY, resolution_of
from autoseg.image.image import read_geometry, read_image, read_label

GREY = np.arange(600, dtype=np.uint8).reshape(20, 30)


def stated(path: Path) -> tuple[tuple[float, float] | None, str]:
    with pillow.open(path) as picture:
        found = resolution_of(picture.info)
    return found.spacing, found.said


def test_simpleitk_writes_what_is_read(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(GREY)
    image.SetSpacing((0.25, 0.4))
    sitk.WriteImage(image, str(tmp_path / "a.tif"))
    assert stated(tmp_path / "a.tif")[0] == pytest.approx((0.4, 0.25), rel=1e-3)


def test_pixels_per_metre_of_png_are_read_as_such(tmp_path: Path) -> None:
    # 4000 and 2500 pixels a metre, which a PNG states in whole numbers
    pillow.fromarray(GREY).save(tmp_path / "a.png", dpi=(101.6, 63.5))
    assert b"pHYs" + struct.pack(">2IB", 4000, 2500, 1) in (tmp_path / "a.png").read_bytes()
    assert stated(tmp_path / "a.png")[0] == pytest.approx((0.4, 0.25))


@pytest.mark.parametrize(("unit", "pixels"), [("INCH", 5080), ("CENTIMETER", 2000)])
def test_the_unit_of_tiff_counts(unit: str, pixels: int, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, resolution=(pixels, pixels * 2), resolutionunit=unit)
    assert stated(tmp_path / "a.tif")[0] == pytest.approx((0.0025, 0.005))


@pytest.mark.parametrize("dpi", [72, 96, 100, 150, 300, 600])
@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif"])
def test_numbers_of_screens_and_printers_are_no_measurement(dpi: int, ending: str, tmp_path: Path) -> None:
    pillow.fromarray(GREY).save(tmp_path / f"a{ending}", dpi=(dpi, dpi))
    spacing, said = stated(tmp_path / f"a{ending}")
    assert spacing is None and said.startswith(f"states {dpi} pixels per inch, as screens") and "no measurement" in said


@pytest.mark.parametrize("dpi", [25.4, 127, 254, 508, 5080])
def test_other_numbers_are_measurements(dpi: float, tmp_path: Path) -> None:
    pillow.fromarray(GREY).save(tmp_path / "a.tif", dpi=(dpi, dpi))
    assert stated(tmp_path / "a.tif")[0] == pytest.approx((25.4 / dpi, 25.4 / dpi))


def test_what_has_no_unit_is_no_size(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, resolution=(2, 4), resolutionunit="NONE")
    assert stated(tmp_path / "a.tif") == (None, "states a resolution of 2 × 4 (x, y) without a unit")


@pytest.mark.parametrize(
    "info", [{}, {"dpi": (0, 0)}, {"dpi": (float("nan"), 1)}, {"dpi": (1, 1)}, {"dpi": "300"}, {"dpi": (300,)}]
)
def test_nonsense_is_nothing(info: dict) -> None:
    assert resolution_of(info).spacing is None


def test_sizes_that_no_pixel_has_are_not_taken() -> None:
    assert resolution_of({"dpi": (0.01, 0.01)}).spacing is None
    assert resolution_of({"dpi": (1e12, 1e12)}).spacing is None


def test_the_text_of_autoseg_is_taken_first() -> None:
    info = {"dpi": (25.4, 25.4), SPACING_KEY: "0.254 1e-05 mm (y, x)"}
    assert resolution_of(info).spacing == (0.254, 1e-5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0.5 mm",
        "0.5 0.5",
        "-0.5 0.5 mm (y, x)",
        "0 0.5 mm (y, x)",
        "nan 0.5 mm (y, x)",
        "0.5 inf mm (y, x)",
        "1e999 0.5 mm (y, x)",
        "0.5 1e9 mm (y, x)",
        "0.5 1.2.3 mm (y, x)",
        "0.5 0.5 mm (y, x)\n",
        "0.5 \u0665 mm (y, x)",
        "0.5 " + "1" * 100_000 + " mm (y, x)",
    ],
)
def test_another_text_of_that_name_is_refused_by_name(text: str, tmp_path: Path) -> None:
    chunk = PngInfo()
    chunk.add_itxt(SPACING_KEY, text)
    pillow.fromarray(GREY).save(tmp_path / "a.png", pnginfo=chunk, dpi=(25.4, 25.4))
    for read in (read_label, read_image, read_geometry):
        with pytest.raises(ImageError, match=r"a.png: its text 'autoseg pixel spacing' .*write the file anew"):
            read(tmp_path / "a.png")
