"""`autoseg table` writes a table that `run` takes, shows what it understood, and overwrites nothing."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import autoseg
from autoseg.commands.raw_data import read_and_check
from autoseg.dataset.csv_rows import read_table
from autoseg.dataset.read import read_dataset
from autoseg.errors import DatasetError, InputError
from autoseg.image.image import Image, read_image, write_image
from autoseg.run_folder.paths import RunFolder
from tests.autoseg.dataset import build
from tests.autoseg.image.dicom import write


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


def test_series_of_dicom_by_their_descriptions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for patient in ("p1", "p2"):
        for i, description in enumerate(("sag T1 tse", "sag T2 tse", "localizer")):
            study(tmp_path / "export" / patient / f"s{i}", patient, i, description)
    table = autoseg.table(tmp_path / "export", tmp_path / "cases.csv", sequence=["T1=*t1*", "T2=*t2*"])
    rows = read_table(table).rows
    assert [row.cells["case"] for row in rows] and all(row.cells["T1"] and row.cells["T2"] for row in rows)
    shown = capsys.readouterr().out
    assert "sag T1 tse" in shown and "localizer" in shown
    image = read_image(tmp_path / rows[0].cells["T2"])
    assert image.modality == "MR" and image.array.shape == (1, 3, 4, 5)
    with pytest.raises(InputError, match="give one of them"):
        autoseg.table(tmp_path / "export", tmp_path / "b.csv", images="{case}", sequence=["T1=*"])


def study(folder: Path, patient: str, number: int, description: str) -> None:
    """Write one series of the one study of a patient."""
    elements = {
        "PatientID": patient, "StudyInstanceUID": f"1.{patient[1:]}", "SeriesNumber": number + 1,
        "SeriesInstanceUID": f"1.{patient[1:]}.{number}", "SeriesDescription": description, "Modality": "MR",
    }  # fmt: skip
    for z, one in enumerate(write.stack(np.arange(60, dtype=np.int16).reshape(3, 4, 5))):
        write.single(folder / f"{z}", one.with_elements(**elements))


def test_ct_of_dicom_is_known_by_its_modality(tmp_path: Path) -> None:
    lines = []
    for i in range(5):
        for z, one in enumerate(write.stack(np.arange(60, dtype=np.int16).reshape(3, 4, 5) + i)):
            write.single(tmp_path / f"s{i}" / f"{z}", one.with_elements(Modality="CT"))
        grid = read_image(tmp_path / f"s{i}")
        label = (grid.array > 30).astype(np.uint8)
        write_image(tmp_path / f"m{i}.nii.gz", Image(label, grid.geometry))
        lines.append(f"c{i},s{i},m{i}.nii.gz")
    (tmp_path / "cases.csv").write_text("\n".join(["case,portal,label", *lines]) + "\n", encoding="utf-8")
    run, out = RunFolder(tmp_path / "run"), io.StringIO()
    found = read_and_check(tmp_path, run, workers=1, trust_times=False, console=Console(file=out, width=300))
    assert found.dataset.ct == (True,)
    assert "channel portal is taken for CT: 5 of 5 images are CT by DICOM" in out.getvalue()
