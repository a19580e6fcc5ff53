"""`autoseg table` writes a table that `run` takes, shows what it understood, and overwrites nothing."""

from pathlib import Path

import pytest

import autoseg
from autoseg.dataset.read import read_dataset
from autoseg.errors import DatasetError, InputError
from tests.autoseg.dataset import build


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(5):
        build.write(tmp_path / "study" / f"p{i}" / "T1.nii.gz", build.voxels(i))
        build.write(tmp_path / "study" / f"p{i}" / "drawn.nii.gz", build.label_voxels())
    (tmp_path / "study" / "notes.txt").touch()
    return tmp_path / "study"


def test_a_table_by_patterns_is_a_data_set(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DatasetError, match="autoseg table"):
        read_dataset(folder)
    written = autoseg.table(
        folder, tmp_path / "cases.csv", images="{case}/{sequence}.nii.gz", label="{case}/drawn.nii.gz"
    )
    shown = capsys.readouterr().out
    assert "T1" in shown and "5 of 5" in shown and "notes.txt: no image" in shown
    assert written.read_text(encoding="utf-8").splitlines()[:2] == [
        "case,T1,label",
        "p0,study/p0/T1.nii.gz,study/p0/drawn.nii.gz",
    ]
    assert [case.name for case in read_dataset(written).cases] == [f"p{i}" for i in range(5)]


def test_a_table_with_corrections_is_kept(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"cases\.csv: exists already"):
        autoseg.table(folder, tmp_path / "cases.csv")
    assert (tmp_path / "cases.csv").read_text(encoding="utf-8") == "mine"


def test_a_pattern_alone(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--label without --images"):
        autoseg.table(folder, tmp_path / "cases.csv", label="{case}/drawn.nii.gz")
    with pytest.raises(InputError, match="is no folder"):
        autoseg.table(tmp_path / "lost", tmp_path / "cases.csv")
