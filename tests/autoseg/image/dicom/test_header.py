"""Elements that are picked from their places have the values that pydicom parses, in every kind of file."""

from __future__ import annotations

import mmap
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from autoseg.image.dicom import header
from autoseg.image.dicom.header import read_header
from tests.autoseg.image.dicom import write

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless)


def nested(levels: int, undefined: bool) -> Items:
    item = Dataset()
    item.EchoTime, item.SeriesDescription = "99", "of an item, not of the series"
    if levels:
        item.ReferencedImageSequence = nested(levels - 1, undefined)
        item["ReferencedImageSequence"].is_undefined_length = undefined
    item.is_undefined_length_sequence_item = undefined
    return Items([item])


@settings(max_examples=40, deadline=None)
@given(
    syntax=st.sampled_from(SYNTAXES),
    levels=st.integers(-1, 2),
    undefined=st.booleans(),
    description=st.sampled_from(["t1 sag", "", "Wirbelsäule quer", "Ёлка"]),
    private=st.integers(0, 3),
    used=st.booleans(),
    preamble=st.booleans(),
)
def test_as_pydicom_parses_it(
    syntax: str, levels: int, undefined: bool, description: str, private: int, used: bool, preamble: bool
) -> None:
    one = write.stack(np.arange(12, dtype=np.int16).reshape(1, 3, 4), scale=(2.0, -3.0))[0]
    elements: dict[str, object] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SeriesDescription": description,
        "EchoTime": "5",
    }
    if levels >= 0:
        # one before, and one after the elements that are used
        elements |= {
            "ReferencedImageSequence": nested(levels, undefined),
            "RequestAttributesSequence": nested(0, undefined),
        }
    if used:
        elements["RealWorldValueMappingSequence"] = nested(0, undefined)
    with tempfile.TemporaryDirectory() as name:
        plain = syntax if syntax != RLELossless else ExplicitVRLittleEndian
        path = write.single(Path(name) / "a", one.with_elements(**elements), syntax=plain)
        dataset = dcmread(path)
        for i in range(private):
            dataset.add_new((0x0019, 0x1000 + i), "UN", b"SH\0\x10 private")
        for keyword in ("ReferencedImageSequence", "RequestAttributesSequence"):
            if keyword in dataset:
                dataset[keyword].is_undefined_length = undefined
        if syntax == RLELossless:
            dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(path)
        if not preamble and plain != ExplicitVRBigEndian and syntax == plain:
            # as an archive keeps it: neither preamble nor the file's own header
            length = int(dataset.file_meta[0x00020000].value)
            path.write_bytes(path.read_bytes()[144 + length :])
        found = read_header(path)
        with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            parsed = header._parsed(path, content)
        assert (found.size, found.media_class, found.syntax) == (parsed.size, parsed.media_class, parsed.syntax)
        assert found.pixels == parsed.pixels and found.pixels is not None
        for keyword, tag in header.TAGS.items():
            mine, theirs = found.dataset.get(tag), parsed.dataset.get(tag)
            if theirs is None or theirs.VM == 0:
                assert mine is None or mine.VM == 0, keyword
            else:
                assert mine is not None and mine.value == theirs.value, keyword
        assert (found.dataset.get("SeriesDescription") or "") == description and found.dataset.EchoTime == 5


def test_flat_and_nested_files_are_not_parsed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are common; parsing takes three times as long."""
    monkeypatch.setattr(header, "_parsed", None)
    one = write.stack(np.arange(12, dtype=np.int16).reshape(1, 3, 4))[0].with_elements(SeriesDescription="t1")
    for i, syntax in enumerate((ExplicitVRLittleEndian, ImplicitVRLittleEndian)):
        for undefined in (False, True):
            items = nested(2, undefined)
            for j, elements in enumerate(({}, {"ReferencedImageSequence": items, "RequestAttributesSequence": items})):
                path = write.single(tmp_path / f"{i}{j}{undefined}", one.with_elements(**elements), syntax=syntax)
                assert read_header(path).dataset.SeriesDescription == "t1"
