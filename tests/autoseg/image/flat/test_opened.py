"""What a header declares is compared with file and memory before a pixel is decoded, whatever it declares."""

import struct
import zlib
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from PIL import ImageFile

from autoseg.errors import ImageError
from autoseg.image import declared_size
from autoseg.image.image import read_geometry, read_image, read_label

GREY = np.arange(600, dtype=np.uint8).reshape(20, 30)
HUGE = 60_000


def png() -> bytes:
    content = bytearray(imageio.imwrite("<bytes>", GREY, extension=".png", plugin="pillow"))
    struct.pack_into(">2I", content, 16, HUGE, HUGE)
    struct.pack_into(">I", content, 29, zlib.crc32(bytes(content[12:29])))
    return bytes(content)


def jpeg() -> bytes:
    content = bytearray(imageio.imwrite("<bytes>", GREY, extension=".jpg", plugin="pillow"))
    struct.pack_into(">2H", content, content.index(b"\xff\xc0") + 5, HUGE, HUGE)
    return bytes(content)


def tiff(folder: Path) -> bytes:
    path = folder / "small.tiff"
    tifffile.imwrite(path, GREY)
    content = bytearray(path.read_bytes())
    path.unlink()
    for tag, value in ((256, 30), (257, 20)):
        for kind, form in ((3, "<HHIHxx"), (4, "<HHII")):
            entry = struct.pack(form, tag, kind, 1, value)
            if entry in content:
                struct.pack_into("<HHII", content, content.index(entry), tag, 4, 1, HUGE)
    return bytes(content)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif"])
def test_nothing_is_decoded_for_a_header_that_declares_too_much(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a{ending}"
    path.write_bytes({".png": png, ".jpg": jpeg, ".tif": lambda: tiff(tmp_path)}[ending]())

    def decode(self: ImageFile.ImageFile) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decode)
    for read in (read_image, read_label, read_geometry):
        with pytest.raises(ImageError, match=r"its header declares 60000 × 60000 voxels .*copy or download it again"):
            read(path)


def test_a_picture_that_the_memory_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    imageio.imwrite(path, np.tile(GREY, (50, 50)), plugin="pillow")
    monkeypatch.setattr(declared_size, "BYTES_NOT_JUDGED", 0)
    monkeypatch.setattr(declared_size, "free_memory", lambda: 8_000_000)
    with pytest.raises(ImageError, match=r"1500 × 1000 voxels \(1.5 MB\), which take 9 MB .* 8 MB are free"):
        read_image(path)


def test_the_content_decides_which_reader_sees_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(imageio.imwrite("<bytes>", GREY, extension=".bmp", plugin="pillow"))
    assert np.array_equal(read_image(tmp_path / "a.png").array[0, 0], GREY)
    (tmp_path / "b.png").write_bytes(b"GIF89a" + bytes(500))
    (tmp_path / "c.png").write_bytes(b"")
    for name in ("b.png", "c.png"):
        with pytest.raises(ImageError, match=name):
            read_image(tmp_path / name)
