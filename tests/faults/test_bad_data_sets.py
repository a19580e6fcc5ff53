"""What a user sees of a data set that cannot be used: every problem by case, exit status 2, nothing written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from autoseg.cli import status_of
from tests.autoseg.dataset import build


def image(folder: Path, case: int) -> Path:
    return folder / "imagesTr" / f"case_{case}_0000.nii.gz"


def label(folder: Path, case: int) -> Path:
    return folder / "labelsTr" / f"case_{case}.nii.gz"


def truncated(folder: Path) -> None:
    content = image(folder, 1).read_bytes()
    image(folder, 1).write_bytes(content[:-30])


def with_numbers(value: float) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        array = build.voxels()
        array[0, 0, 0] = value
        build.write(image(folder, 1), array)

    return spoil


def json_text(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "dataset.json").write_text(text)


def twice(folder: Path) -> None:
    rows = build.table(folder)
    rows[1]["case"] = rows[0]["case"]
    build.write_table(folder, rows)


def broken_line(folder: Path) -> None:
    path = build.write_table(folder, build.table(folder))
    path.write_text(path.read_text() + "case_5,too short\n")


BAD = {
    "missing image": (lambda f: image(f, 1).unlink(), ["case_1", "missing file"]),
    "missing label": (lambda f: label(f, 1).unlink(), ["case_1", "missing file", "case_1.nii.gz does not exist"]),
    "unreadable": (lambda f: image(f, 1).write_bytes(b"no image"), ["case_1", "cannot be read as an image"]),
    "truncated": (truncated, ["case_1", "truncated"]),
    "label of another geometry": (
        lambda f: build.write(label(f, 1), build.label_voxels(), origin=(11, -20, 30)),
        ["case_1", "is not on the grid of the image", "1 mm (1 voxels) apart"],
    ),
    "undeclared value": (
        lambda f: build.write(label(f, 1), build.label_voxels(5)),
        ["case_1", "not declared: 5 (8 voxels)"],
    ),
    "fractional label": (
        lambda f: build.write(label(f, 1), build.label_voxels() * np.float32(0.5)),
        ["case_1", "fractional values 0.5"],
    ),
    "NaN": (with_numbers(np.nan), ["case_1", "1 of 120 voxels are NaN or infinite"]),
    "infinite": (with_numbers(np.inf), ["case_1", "1 of 120 voxels are NaN or infinite"]),
    "constant": (
        lambda f: build.write(image(f, 1), np.ones(build.SHAPE, np.float32)),
        ["case_1", "constant image"],
    ),
    "duplicate case": (twice, ["case_0", "duplicate case", "line 2", "line 3"]),
    "wrong number of channels": (
        lambda f: build.write(f / "imagesTr" / "case_1_0001.nii.gz", build.voxels()),
        ["case_1", "wrong number of channels"],
    ),
    "dataset.json is not JSON": (json_text('{"labels": \n oops}'), ["dataset.json", "line 2"]),
    "dataset.json lacks fields": (json_text('{"channel_names": {"0": "T1"}}'), ["field labels", "field file_ending"]),
    "regions": (
        lambda f: build.nnunet(f, labels={"background": 0, "whole": [1, 2]}),
        ["line 7", "labels.whole", "not supported yet"],
    ),
    "ignore label": (
        lambda f: build.nnunet(f, labels={"background": 0, "a": 1, "ignore": 2}),
        ["labels", '"ignore" label is not supported yet'],
    ),
    "cases.csv has a broken line": (broken_line, ["cases.csv", "line 7", "2 cells", "6 columns"]),
    "cases.csv lacks a column": (
        lambda f: (f / "cases.csv").write_text("T1,label\na,b\n"),
        ["cases.csv", "line 1", "no column `case`"],
    ),
    "one case": (
        lambda f: [image(f, i).unlink() or label(f, i).unlink() for i in range(1, 5)],
        ["has 1 case; cross-validation needs two"],
    ),
}


@pytest.mark.parametrize(("spoil", "told"), BAD.values(), ids=BAD.keys())
def test_message_and_exit_status(tmp_path, capfd, spoil, told):
    folder = build.nnunet(tmp_path / "data")
    spoil(folder)
    arguments = ["plan-and-preprocess", str(folder), "-o", str(tmp_path / "run"), "--device", "cpu", "--workers", "1"]
    assert status_of(arguments) == 2
    shown = " ".join(capfd.readouterr().err.split())
    # lines are wrapped at the width of the terminal, within long paths too
    squeezed = shown.replace(" ", "")
    assert all(part.replace(" ", "") in squeezed for part in told), shown
    assert "Traceback" not in shown
    assert not (tmp_path / "run").exists()


def test_all_problems_of_all_cases_at_once(tmp_path, capfd):
    folder = build.nnunet(tmp_path / "data")
    with_numbers(np.nan)(folder)
    build.write(label(folder, 2), build.label_voxels(5))
    image(folder, 3).write_bytes(b"")
    assert status_of(["run", str(folder), "-o", str(tmp_path / "run"), "--device", "cpu"]) == 2
    shown = capfd.readouterr().err
    assert all(f"case_{case}: " in shown for case in (1, 2, 3))
    assert not (tmp_path / "run").exists()
