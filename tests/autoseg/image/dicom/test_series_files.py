"""A folder of many series: each header is read once for all of them, and again where something has changed."""

from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from autoseg.errors import ImageError
from autoseg.image.dicom import described as headers
from autoseg.image.dicom import sources
from autoseg.image.dicom.read import read_dicom
from autoseg.image.dicom.sources import files_of
from tests.autoseg.image.dicom import write

SERIES, SLICES = 12, 3


def flat_folder(folder: Path) -> Path:
    """The slices of all series in one folder; the voxels of a series have its number."""
    folder.mkdir()
    for number in range(1, SERIES + 1):
        for i, one in enumerate(write.stack(np.full((SLICES, 2, 3), number, np.int16))):
            elements = {"SeriesNumber": number, "SeriesInstanceUID": f"1.2.3.{number}"}
            write.single(folder / f"{i}_{number}.dcm", one.with_elements(**elements))
    return folder


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, str]]:
    """How often each file's header was parsed, and how often it was opened to see whether it is DICOM."""
    count: Counter[tuple[str, str]] = Counter()
    parse, look = headers.read_header, sources.is_dicom_file

    def counted_parse(file: Path) -> object:
        count["parsed", str(file)] += 1
        return parse(file)

    def counted_look(file: Path) -> bool:
        count["looked at", str(file)] += 1
        return look(file)

    monkeypatch.setattr(headers, "read_header", counted_parse)
    monkeypatch.setattr(sources, "is_dicom_file", counted_look)
    return count


def test_each_header_of_a_folder_is_read_once_for_all_its_series(tmp_path: Path, read: Counter) -> None:
    folder = flat_folder(tmp_path / "flat")
    for number in range(1, SERIES + 1):
        assert (read_dicom(Path(f"{folder}?series={number}")).array == number).all()
        assert len(files_of(Path(f"{folder}?series={number}"))) == SLICES
    assert len(read) == 2 * SERIES * SLICES and set(read.values()) == {1}


def test_with_more_files_than_are_remembered_each_header_is_read_twice_at_most(
    tmp_path: Path, read: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "_remembered", lru_cache(SLICES)(headers._remembered.__wrapped__))
    folder = flat_folder(tmp_path / "flat")
    for number in range(1, SERIES + 1):
        assert (read_dicom(Path(f"{folder}?series={number}")).array == number).all()
    assert max(read.values()) == 2


def test_series_in_folders_inside_are_found_once_too(tmp_path: Path, read: Counter) -> None:
    flat_folder(tmp_path / "a")
    (tmp_path / "b").mkdir()
    flat_folder(tmp_path / "b" / "c")
    for number in range(1, SERIES + 1):
        found = files_of(Path(f"{tmp_path}?series=1.2.3.{number}"))
        assert {file.parent for file in found} == {tmp_path / "a", tmp_path / "b" / "c"}
    assert {count for (what, _), count in read.items() if what == "parsed"} == {1}


def test_a_file_that_comes_changes_or_goes_is_noticed(tmp_path: Path) -> None:
    folder = flat_folder(tmp_path / "flat")
    first = files_of(Path(f"{folder}?series=1"))
    slices = write.stack(np.full((SLICES + 1, 2, 3), 1, np.int16))
    elements = {"SeriesNumber": 1, "SeriesInstanceUID": "1.2.3.1"}
    new = write.single(folder / "new.dcm", slices[-1].with_elements(**elements))
    assert files_of(Path(f"{folder}?series=1")) == [*first, new]
    write.single(new, slices[-1].with_elements(SeriesNumber=2, SeriesInstanceUID="1.2.3.2"))
    assert files_of(Path(f"{folder}?series=1")) == first
    assert new in files_of(Path(f"{folder}?series=2"))
    new.unlink()
    assert new not in files_of(Path(f"{folder}?series=2"))


def test_a_file_that_is_too_damaged_to_tell_its_series_refuses_every_series(tmp_path: Path) -> None:
    folder = flat_folder(tmp_path / "flat")
    whole = (folder / "0_1.dcm").read_bytes()
    (folder / "0_1.dcm").write_bytes(whole[:300])
    for number in (1, 2):
        with pytest.raises(ImageError, match=r"0_1\.dcm"):
            files_of(Path(f"{folder}?series={number}"))
    (folder / "0_1.dcm").write_bytes(whole)
    assert len(files_of(Path(f"{folder}?series=1"))) == SLICES
