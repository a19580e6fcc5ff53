"""Which files are DICOM, and those that would end the process, because GDCM follows their nesting by recursion."""

import struct
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from autoseg.errors import ImageError
from autoseg.image.dicom_file import is_dicom_file, require_shallow
from autoseg.image.image import read_image
from tests.autoseg.dataset import build

SEQUENCE, ITEM = (0x8, 0x1140), (0xFFFE, 0xE000)


def with_elements(tmp_path: Path, elements: bytes) -> Path:
    folder = build.dicom(tmp_path / "scan", np.random.default_rng(0).integers(0, 1000, (4, 5, 6)))
    path = folder / "slice_001.dcm"
    content = path.read_bytes()
    at = content.find(struct.pack("<HH", 0x8, 0x60))
    path.write_bytes(content[:at] + elements + content[at:])
    return path


def nested_without_lengths(levels: int) -> bytes:
    one = struct.pack("<HHIHHI", *SEQUENCE, 0xFFFFFFFF, *ITEM, 0xFFFFFFFF)
    return one * levels + struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0) * levels


def nested_with_lengths(levels: int) -> bytes:
    heads = [struct.pack("<HHIHHI", *SEQUENCE, 16 * i + 8, *ITEM, 16 * i) for i in reversed(range(levels))]
    return b"".join(heads)


def flat(items: int) -> bytes:
    value = struct.pack("<HHI", 0x8, 0x1155, 2) + b"1 "
    inside = (struct.pack("<HHI", *ITEM, len(value)) + value) * items
    return struct.pack("<HHI", *SEQUENCE, len(inside)) + inside


@pytest.mark.parametrize("nested", [nested_without_lengths, nested_with_lengths])
def test_deep_nesting_is_refused(tmp_path: Path, nested) -> None:
    path = with_elements(tmp_path, nested(100_000))
    for image in (path, path.parent):
        with pytest.raises(ImageError, match=r"slice_001\.dcm: its sequences are nested more than 100 levels deep"):
            read_image(image)


def test_many_items_side_by_side_are_read(tmp_path: Path) -> None:
    path = with_elements(tmp_path, flat(12_000))
    require_shallow(path)
    assert read_image(path.parent).array.shape == (1, 4, 5, 6)


@pytest.mark.parametrize(("items", "refused"), [(49, False), (51, True)])
def test_more_items_than_a_scanner_writes_are_refused(tmp_path: Path, monkeypatch, items: int, refused: bool) -> None:
    monkeypatch.setattr("autoseg.image.dicom_file.MOST_ITEMS", 50)
    path = with_elements(tmp_path, flat(items))
    with pytest.raises(ImageError, match="of over 50 items") if refused else nullcontext():
        require_shallow(path)


def test_deflated_elements_are_refused(tmp_path: Path) -> None:
    path = with_elements(tmp_path, b"")
    content = path.read_bytes()
    before = struct.pack("<HH2sH", 0x2, 0x10, b"UI", 18) + b"1.2.840.10008.1.2\0"
    assert before in content
    after = struct.pack("<HH2sH", 0x2, 0x10, b"UI", 22) + b"1.2.840.10008.1.2.1.99"
    path.write_bytes(content.replace(before, after))
    with pytest.raises(ImageError, match=r"slice_001\.dcm: its elements are compressed as a whole"):
        read_image(path)


def test_damage_in_the_files_own_header(tmp_path: Path) -> None:
    path = with_elements(tmp_path, b"")
    content = path.read_bytes()
    at = content.find(struct.pack("<HH2s", 0x2, 0x16, b"AE"))
    path.write_bytes(content[: at + 4] + b"Aj" + content[at + 6 :])
    with pytest.raises(ImageError, match=r"slice_001\.dcm: damaged or truncated, the elements of its file header"):
        read_image(path.parent)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (bytes(128) + b"DICM", True),
        (struct.pack("<HH2sH", 0x8, 0x5, b"CS", 10) + b"ISO_IR 100" + bytes(200), True),
        (struct.pack("<HHI", 0x8, 0x16, 26) + bytes(200), True),
        (struct.pack(">HH2sH", 0x8, 0x8, b"CS", 8) + bytes(200), True),
        (struct.pack("<HHI", 0x8, 0x16, 2**31) + bytes(200), False),
        (struct.pack("<HH", 0x8, 0x16), False),
        (b"case,T1\n" * 30, False),
        (b"", False),
    ],
)
def test_dicom_is_known_by_its_first_bytes(tmp_path: Path, content: bytes, expected: bool) -> None:
    path = tmp_path / "IM0001"
    path.write_bytes(content)
    assert is_dicom_file(path) == expected
    assert is_dicom_file(path.rename(tmp_path / "1.2.840.113619")) == expected
    # the sizes of an MRC file may look like an element
    assert is_dicom_file((tmp_path / "1.2.840.113619").rename(tmp_path / "a.mrc")) == (content[128:132] == b"DICM")
    assert is_dicom_file(tmp_path / "a.dcm") and is_dicom_file(tmp_path / "a.IMA")
