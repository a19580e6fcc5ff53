"""The header of a DICOM file is read once, and again where the file has changed."""

from pathlib import Path

import numpy as np
import pytest

from autoseg.errors import ImageError
from autoseg.image.dicom import described as module
from autoseg.image.dicom.described import described
from autoseg.image.dicom.read import read_dicom, read_dicom_geometry
from tests.autoseg.image.dicom import write


def test_one_header_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    real = module.read_header
    monkeypatch.setattr(module, "read_header", lambda file: read.append(file) or real(file))
    folder = write.series(tmp_path, write.stack(np.arange(24, dtype=np.int16).reshape(4, 2, 3)))
    read_dicom_geometry(folder)
    read_dicom(folder)
    assert sorted(read) == sorted(folder.iterdir())


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    one = write.stack(np.zeros((1, 2, 3), np.int16))[0].with_elements(SOPInstanceUID="1.2.3")
    path = write.single(tmp_path / "a.dcm", one.with_elements(SeriesNumber=3))
    assert described(path).series.number == "3"
    size = path.stat().st_size
    write.single(path, one.with_elements(SeriesNumber=4))
    assert path.stat().st_size == size and described(path).series.number == "4"


def test_damage_is_raised_when_slices_are_wanted(tmp_path: Path) -> None:
    path = write.single(tmp_path / "a.dcm", write.stack(np.zeros((1, 20, 30), np.int16))[0])
    path.write_bytes(path.read_bytes()[:-100])
    found = described(path)
    assert found.series is not None and found.series.uid == write.SERIES
    with pytest.raises(ImageError, match=r"a\.dcm: truncated"):
        found.slices()
