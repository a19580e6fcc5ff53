"""The record of a data set's files, of which one may be a series in a folder of DICOM files."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from autoseg.dataset.read import read_dataset
from autoseg.dataset.record import changed_by_times, content_hash, file_record, record_of
from autoseg.dataset.table import read_table_dataset
from tests.autoseg.dataset import build
from tests.autoseg.image.dicom import write
from tests.autoseg.small_dataset import make_dataset


def two_series(folder: Path) -> Path:
    """A folder with series 3 in the files f000 to f002, and series 4 in f003 to f005."""
    of = [one.with_elements(SeriesNumber=3) for one in write.stack(np.ones((3, 4, 5), np.int16))]
    other = {"SeriesNumber": 4, "SeriesInstanceUID": "1.2.3"}
    return write.series(folder, [*of, *(one.with_elements(**other) for one in of)])


def test_the_files_of_a_series_alone_count(tmp_path: Path) -> None:
    folder = two_series(tmp_path / "scan")
    third, fourth = (Path(f"{folder}?series={number}") for number in (3, 4))
    before = [content_hash(path) for path in (third, fourth)]
    assert None not in before and before[0] != before[1]
    sizes = [file.stat().st_size for file in sorted(folder.iterdir())]
    assert file_record(third, tmp_path).size == sum(sizes[:3])
    assert file_record(third, tmp_path).path == "scan?series=3"
    changed = folder / "f004.dcm"
    # a voxel
    changed.write_bytes(changed.read_bytes()[:-1] + b"\1")
    after = [content_hash(path) for path in (third, fourth)]
    assert after[0] == before[0] and after[1] != before[1]


def test_another_choice_of_the_same_files_is_another_image(tmp_path: Path) -> None:
    of = [one.with_elements(EchoTime=e) for e in (2.5, 5) for one in write.stack(np.ones((2, 4, 5), np.int16))]
    folder, file = write.series(tmp_path / "scan", of), write.multi_frame(tmp_path / "many.dcm", of)
    for place in (folder, file):
        hashes = {content_hash(Path(f"{place}{text}")) for text in ("", "?echo=2.5", "?echo=5")}
        assert len(hashes) == 3 and None not in hashes
    assert content_hash(tmp_path / "nowhere?echo=5") is None


def test_a_table_names_series(tmp_path: Path) -> None:
    two_series(tmp_path / "scan")
    rows = [
        {"case": name, "T1": f"scan?series={number}", "label": f"{name}.nii.gz"}
        for name, number in (("a", 3), ("b", 4))
    ]
    for row in rows:
        build.write(tmp_path / row["label"], np.eye(4, 5, dtype=np.uint8)[None].repeat(3, 0))
    dataset = read_table_dataset(build.write_table(tmp_path, rows))
    assert dataset.channels == ("T1",) and not any(case.problems for case in dataset.cases)
    record = record_of(dataset)
    assert [case.images[0].path for case in record.cases] == ["scan?series=3", "scan?series=4"]
    rows[1]["T1"] = "gone?series=4"
    problem = read_table_dataset(build.write_table(tmp_path, rows)).cases[1].problems[0]
    assert "gone?series=4 does not exist" in problem


def test_what_changed_is_seen_by_times_without_reading_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_dataset(tmp_path / "balls", 4)
    before = record_of(read_dataset(folder))
    monkeypatch.setattr("autoseg.dataset.record.content_hash", None)
    assert changed_by_times(before, read_dataset(folder)) == ()
    os.utime(folder / "imagesTr" / "ball_1_0000.nii.gz", (5, 5))
    with (folder / "labelsTr" / "ball_2.nii.gz").open("ab") as file:
        file.write(b"x")
    assert changed_by_times(before, read_dataset(folder)) == ("ball_1", "ball_2")
    for old, new in (("imagesTr/ball_3_0000", "imagesTr/ball_9_0000"), ("labelsTr/ball_3", "labelsTr/ball_9")):
        shutil.move(folder / f"{old}.nii.gz", folder / f"{new}.nii.gz")
    assert changed_by_times(before, read_dataset(folder)) == ("ball_1", "ball_2", "ball_3", "ball_9")
    text = (folder / "dataset.json").read_text(encoding="utf-8")
    (folder / "dataset.json").write_text(text.replace('"ball"', '"sphere"'), encoding="utf-8")
    assert len(changed_by_times(before, read_dataset(folder))) == 5
