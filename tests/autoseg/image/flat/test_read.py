"""Pictures are read as SimpleITK, tifffile and Pillow's own writer say; what is not exact is refused with its cure."""

from collections.abc import Callable
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image as pillow

from autoseg.errors import ImageError
from autoseg.image.image import read_geometry, read_image, read_label

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 30), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (20, 30), dtype=np.uint16)
COLOUR = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
FRACTIONS = RNG.random((20, 30)).astype(np.float32)
FOUR = (GREY // 64).astype(np.uint8)


def by_pillow(array: np.ndarray, **settings: object) -> Callable[[Path], None]:
    return lambda path: pillow.fromarray(array).save(path, **settings)


def by_tifffile(array: np.ndarray, **settings: object) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, array, **settings)


def with_alpha(alpha: np.ndarray) -> np.ndarray:
    return np.dstack([COLOUR, alpha])


def palette(path: Path) -> None:
    picture = pillow.fromarray(FOUR).convert("P")
    picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0, 0, 0, 200])
    picture.save(path)


def turned(path: Path) -> None:
    exif = pillow.Exif()
    exif[0x0112] = 6
    pillow.fromarray(COLOUR).save(path, exif=exif, quality=100, subsampling=0)


EXACT = {
    "grey.png": (by_pillow(GREY), GREY),
    "deep.png": (by_pillow(DEEP), DEEP),
    "colour.png": (by_pillow(COLOUR), COLOUR),
    "colour.bmp": (by_pillow(COLOUR), COLOUR),
    "lzw.tif": (by_pillow(COLOUR, compression="tiff_lzw"), COLOUR),
    "packed.tiff": (by_pillow(GREY, compression="packbits"), GREY),
    "zipped.tif": (by_pillow(GREY, compression="tiff_adobe_deflate"), GREY),
    "deep.tif": (by_tifffile(DEEP), DEEP),
    "big_endian.tif": (by_tifffile(DEEP, byteorder=">"), DEEP),
    "big.tif": (by_tifffile(DEEP, bigtiff=True), DEEP),
    "signed.tif": (by_tifffile(DEEP.astype(np.int16)), DEEP.astype(np.int16)),
    "fractions.tif": (by_tifffile(FRACTIONS), FRACTIONS),
    "planes.tif": (
        by_tifffile(np.moveaxis(COLOUR, -1, 0).copy(), photometric="rgb", planarconfig="separate"),
        COLOUR,
    ),
    "tiles.tif": (by_tifffile(np.tile(GREY, (2, 2)), tile=(16, 16)), np.tile(GREY, (2, 2))),
}


@pytest.mark.parametrize("name", EXACT)
def test_values_are_those_that_were_written(name: str, tmp_path: Path) -> None:
    write, written = EXACT[name]
    write(tmp_path / name)
    image = read_image(tmp_path / name)
    expected = written[None] if written.ndim == 2 else np.moveaxis(written, -1, 0)
    assert np.array_equal(image.array[:, 0], expected) and image.array.dtype == np.float32
    assert read_geometry(tmp_path / name) == (image.geometry, len(expected)), "the header tells the same"
    if name not in ("planes.tif", "tiles.tif"):  # ITK reads these otherwise, and tifffile's own writer is the judge
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / name))), written)


def test_jpeg_is_read_as_pillow_and_imageio_decode_it(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    by_pillow(COLOUR, quality=90)(path)
    assert np.array_equal(np.moveaxis(read_image(path).array[:, 0], 0, -1), imageio.imread(path, plugin="pillow"))
    grey = tmp_path / "grey.jpg"
    by_pillow(GREY)(grey)
    assert np.array_equal(read_image(grey).array[0, 0], sitk.GetArrayFromImage(sitk.ReadImage(str(grey))))


def test_a_picture_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    turned(tmp_path / "a.jpg")
    tifffile.imwrite(tmp_path / "a.tif", GREY, extratags=[(274, "H", 1, 6, True)])
    for name, stored in (("a.jpg", imageio.imread(tmp_path / "a.jpg", plugin="pillow", rotate=False)), ("a.tif", GREY)):
        image = read_image(tmp_path / name)
        seen = np.rot90(stored, -1)
        assert np.array_equal(image.array[0, 0], seen if seen.ndim == 2 else seen[..., 0])
        assert image.geometry == read_geometry(tmp_path / name)[0] and image.geometry.shape == (1, 30, 20)
        assert any("EXIF orientation (6)" in text for text in image.done)


def test_palettes_are_colours_of_images_and_indices_of_labels(tmp_path: Path) -> None:
    palette(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert np.array_equal(image.array[0, 0], 200.0 * (FOUR == 1)) and len(image.array) == 3
    assert any("palette was converted" in text for text in image.done)
    assert np.array_equal(read_label(tmp_path / "a.png").array[0, 0], FOUR)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_are_the_values_of_a_label(bits: int, tmp_path: Path) -> None:
    values = (GREY % 2**bits).astype(np.uint8)
    if bits == 1:
        pillow.fromarray(values.astype(bool)).save(tmp_path / "a.png")
    else:
        # Pillow writes few bits with a palette alone, so that one is a chunk that is taken out
        import struct
        import zlib

        rows = np.zeros((20, -(-30 * bits // 8)), np.uint8)
        for column in range(30):
            place, shift = divmod(column * bits, 8)
            rows[:, place] |= values[:, column] << (8 - bits - shift)
        body = b"".join(b"\0" + row.tobytes() for row in rows)
        chunks = [
            (b"IHDR", struct.pack(">2I5B", 30, 20, bits, 0, 0, 0, 0)),
            (b"IDAT", zlib.compress(body)),
            (b"IEND", b""),
        ]
        content = b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    assert np.array_equal(read_label(tmp_path / "a.png").array[0, 0], values)


def test_a_constant_opacity_is_dropped_with_a_word(tmp_path: Path) -> None:
    by_pillow(with_alpha(np.full_like(GREY, 255)))(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert np.array_equal(image.array[:, 0], np.moveaxis(COLOUR, -1, 0))
    assert "its opacity (alpha) is 255 everywhere and was dropped" in image.done


def test_a_grey_label_of_three_colours_is_read(tmp_path: Path) -> None:
    by_pillow(np.dstack([FOUR] * 3))(tmp_path / "a.png")
    label = read_label(tmp_path / "a.png")
    assert np.array_equal(label.array[0, 0], FOUR) and "three colours are equal" in label.done[0]


REFUSED = {
    "alpha.png": (by_pillow(with_alpha(GREY)), r"opacity \(alpha\) is not the same everywhere: .*flattened"),
    "pages.tif": (by_tifffile(np.stack([GREY, GREY])), r"several pages.*NIfTI or NRRD with its spacing"),
    "colours16.tif": (by_tifffile(np.dstack([DEEP] * 3), photometric="rgb"), r"16 bits for each colour.*8-bit RGB"),
    "cmyk.jpg": (lambda path: pillow.fromarray(COLOUR).convert("CMYK").save(path), r"stored as CMYK.*8-bit RGB"),
    "double.tif": (by_tifffile(FRACTIONS.astype(np.float64)), r"64-bit numbers; save it"),
    "unsigned.tif": (by_tifffile(DEEP.astype(np.uint32)), r"32 bits of a kind that is not read exactly; save it"),
    "signed8.tif": (by_tifffile(GREY.astype(np.int8)), r"8 bits of a kind that is not read exactly; save it"),
    **{
        f"white{i}.tif": (by_tifffile(array, photometric="miniswhite"), rf"white as 0 with {bits} bits.*black as 0")
        for i, (array, bits) in enumerate([(DEEP, 16), (FRACTIONS, 32)])
    },
    "moves.png": (
        lambda path: pillow.fromarray(GREY).save(path, save_all=True, append_images=[pillow.fromarray(GREY + 1)]),
        r"is animated.*save the one that is meant",
    ),
    "cut.png": (lambda path: path.write_bytes(_png()[:200]), r"damaged or truncated.*copy it again"),
    "flipped.png": (lambda path: path.write_bytes(_flipped(_png())), r"damaged or truncated.*copy it again"),
    "cut.jpg": (lambda path: path.write_bytes(_jpeg()[:400]), r"damaged or truncated.*copy it again"),
}


def _png() -> bytes:
    return imageio.imwrite("<bytes>", COLOUR, extension=".png", plugin="pillow")


def _flipped(content: bytes) -> bytes:
    """A PNG file with another value in its pixels, but not in the checksum of its compressed data."""
    changed = bytearray(content)
    changed[content.index(b"IDAT") + 500] ^= 1
    return bytes(changed)


def _jpeg() -> bytes:
    return imageio.imwrite("<bytes>", COLOUR, extension=".jpg", plugin="pillow")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_refused_with_its_cure(name: str, tmp_path: Path) -> None:
    write, message = REFUSED[name]
    write(tmp_path / name)
    with pytest.raises(ImageError, match=rf"{name}: .*{message}"):
        read_image(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.jpg", by_pillow(GREY), "label map in JPEG.*save it as PNG"),
        ("a.png", by_pillow(COLOUR), "label map in colour; save the number of each pixel's class"),
        ("a.tif", by_tifffile(GREY, photometric="miniswhite"), "stores white as 0"),
    ],
)
def test_labels_that_are_not_exact_are_refused(
    name: str, write: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    write(tmp_path / name)
    with pytest.raises(ImageError, match=message):
        read_label(tmp_path / name)


def test_smaller_copies_in_a_file_are_no_pages(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(GREY)
        file.write(GREY[::2, ::2], subfiletype=1)
    assert np.array_equal(read_image(tmp_path / "a.tif").array[0, 0], GREY)


def test_the_size_of_pixels_is_given_stated_or_assumed(tmp_path: Path) -> None:
    by_pillow(GREY, dpi=(508, 254))(tmp_path / "stated.png")
    by_pillow(GREY)(tmp_path / "silent.png")
    found = [read_image(tmp_path / name) for name in ("stated.png", "silent.png")]
    assert [(one.sized_by, one.geometry.spacing[1:]) for one in found] == [
        ("stated", (0.1, 0.05)),
        ("assumed", (1.0, 1.0)),
    ]
    assert found[0].done == () and found[1].done == ("it states no resolution; 1 mm a pixel is taken",)
    given = read_image(tmp_path / "stated.png", pixel_spacing=(0.5, 0.5))
    assert (given.sized_by, given.geometry.spacing) == ("given", (1.0, 0.5, 0.5))
    assert given.done == ("it states 0.1 × 0.05 mm (y, x) a pixel, and 0.5 mm is taken, as for the others",)
    assert read_image(tmp_path / "silent.png", pixel_spacing=(0.5, 0.5)).done == ()


@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_of_pixels_is_turned_with_them(ending: str, orientation: int, tmp_path: Path) -> None:
    """Stored columns are 0.05 mm apart, rows 0.1 mm; from orientation 5 on the first stored row is seen as a column."""
    path = tmp_path / f"a.{ending}"
    exif = pillow.Exif()
    exif[0x0112] = orientation
    pillow.fromarray(GREY).save(path, exif=exif, dpi=(508, 254))
    shape, spacing = ((20, 30), (0.1, 0.05)) if orientation < 5 else ((30, 20), (0.05, 0.1))
    for geometry in (read_image(path).geometry, read_geometry(path)[0]):
        assert geometry.shape[1:] == shape and geometry.spacing[1:] == pytest.approx(spacing, rel=1e-3)
    given = read_image(path, pixel_spacing=(0.5, 0.25))
    assert given.geometry.spacing[1:] == (0.5, 0.25), "what a person gives is as the picture is seen"


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_white_that_is_stored_as_0_is_the_highest_value(compression: str | None, tmp_path: Path) -> None:
    by_tifffile(GREY, photometric="miniswhite", compression=compression)(tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].photometric.name == "MINISWHITE"
        stored = file.asarray()
    assert np.array_equal(read_image(tmp_path / "a.tif").array[0, 0], 255 - stored.astype(float))
