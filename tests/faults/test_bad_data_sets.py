"""What a user sees of a data set that cannot be used: every problem by case, exit status 2, nothing written."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from autoseg.commands.cli import status_of
from autoseg.run_folder.splits import read_splits
from tests.autoseg.commands.stand_ins import install
from tests.autoseg.dataset import build
from tests.words import on_one_line


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
    return lambda folder: (folder / "dataset.json").write_text(text, encoding="utf-8")


def twice(folder: Path) -> None:
    rows = build.table(folder)
    rows[1]["case"] = rows[0]["case"]
    build.write_table(folder, rows)


def broken_line(folder: Path) -> None:
    path = build.write_table(folder, build.table(folder))
    path.write_text(path.read_text(encoding="utf-8") + "case_5,too short\n")


def moved_channel(millimetres: float) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        rows = build.table(folder)
        build.write(folder / rows[1]["STIR"], build.voxels(), origin=(10 + millimetres, -20, 30))
        build.write_table(folder, rows)
        (folder / "dataset.json").unlink()

    return spoil


def in_units(factor: float) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        spacing = (1.0 * factor, 1.5 * factor, 3.0 * factor)
        build.write(image(folder, 1), build.voxels(), spacing=spacing)
        build.write(label(folder, 1), build.label_voxels(), spacing=spacing)

    return spoil


def without_cases(first: int) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        for i in range(first, 5):
            image(folder, i).unlink()
            label(folder, i).unlink()

    return spoil


BAD = {
    "missing image": (lambda f: image(f, 1).unlink(), ["case_1", "missing file"]),
    "missing label": (lambda f: label(f, 1).unlink(), ["case_1", "missing file", "case_1.nii.gz does not exist"]),
    "unreadable": (lambda f: image(f, 1).write_bytes(b"no image"), ["case_1", "cannot be read as an image"]),
    "truncated": (truncated, ["case_1", "truncated"]),
    "label of another geometry": (
        lambda f: build.write(label(f, 1), build.label_voxels(), origin=(11, -20, 30)),
        ["case_1", "lies 1 mm (1 voxels) beside it", "Copy the image's header"],
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
    "micrometres": (
        in_units(1000),
        ["case_1", "1000 × 1500 × 3000 mm", "no scanner makes voxels of more than 200 mm", "or its unit"],
    ),
    "a decimal point too far": (
        in_units(40),
        ["case_1", "120 x 60 x 40 mm", "64,000 times as many", "3 x 1.5 x 1 mm", "leave the case out"],
    ),
    "metres": (in_units(0.001), ["case_1", "0.003 x 0.0015 x 0.001 mm", "metres", "leave the case out"]),
    "duplicate case": (twice, ["case_0", "duplicate case", "line 2", "line 3"]),
    "wrong number of channels": (
        lambda f: build.write(f / "imagesTr" / "case_1_0001.nii.gz", build.voxels()),
        ["case_1", "wrong number of channels"],
    ),
    "dataset.json is not JSON": (json_text('{"labels": \n oops}'), ["dataset.json", "line 2"]),
    "dataset.json lacks fields": (json_text('{"channel_names": {"0": "T1"}}'), ["field labels", "field file_ending"]),
    "regions of no order": (
        lambda f: build.nnunet(f, labels={"background": 0, "whole": [1, 2], "part": [2, 3]}),
        [
            "line 5",
            "field labels",
            "label 3 would come out as label 2",
            "regions_class_order",
        ],
    ),
    "ignore label that is not the highest": (
        lambda f: build.nnunet(f, labels={"background": 0, "a": 3, "ignore": 2}),
        ["line 8", "labels.ignore", "must have the highest value"],
    ),
    "cases.csv has a broken line": (broken_line, ["cases.csv", "line 7", "2 cells", "6 columns"]),
    "cases.csv lacks a column": (
        lambda f: (f / "cases.csv").write_text("T1,label\na,b\n", encoding="utf-8"),
        ["cases.csv", "line 1", "no column `case`"],
    ),
    "channels apart": (moved_channel(500), ["case_1", "STIR/case_1.nii.gz", "do not overlap in space"]),
    "one case": (without_cases(1), ["has 1 case; cross-validation needs two"]),
}
ODD = {
    "empty label": (
        lambda f: build.write(label(f, 1), np.zeros(build.SHAPE, np.uint8)),
        ["case_1", "is empty: background only"],
        5,
    ),
    "fewer cases than folds": (without_cases(3), ["only 3 cases, so 3 folds instead of 5"], 3),
    "two cases": (without_cases(2), ["only 2 cases, so 2 folds instead of 5"], 2),
    "a channel on another grid": (
        moved_channel(0.5),
        ["case_1", "STIR/case_1.nii.gz", "T1/case_1.nii.gz", "resampled onto it"],
        5,
    ),
}


@pytest.mark.parametrize(("spoil", "told"), BAD.values(), ids=BAD.keys())
def test_message_and_exit_status(tmp_path, capfd, spoil, told):
    folder = build.nnunet(tmp_path / "data")
    spoil(folder)
    arguments = ["plan-and-preprocess", str(folder), "-o", str(tmp_path / "run"), "--device", "cpu", "--workers", "1"]
    assert status_of(arguments) == 2
    shown = on_one_line(capfd.readouterr().err)
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
    shown = on_one_line(capfd.readouterr().err)
    assert all(f"case_{case}: " in shown for case in (1, 2, 3))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("spoil", "told", "folds"), ODD.values(), ids=ODD.keys())
def test_what_is_odd_is_a_warning_and_goes_on(tmp_path, monkeypatch, capfd, spoil, told, folds):
    install(monkeypatch)
    folder = build.nnunet(tmp_path / "data")
    spoil(folder)
    arguments = ["plan-and-preprocess", str(folder), "-o", str(tmp_path / "run"), "--device", "cpu", "--workers", "1"]
    assert status_of([*arguments, "--plan-only"]) == 0
    shown = "".join(capfd.readouterr().out.split())
    assert all(part.replace(" ", "") in shown for part in ("Warning:", *told)), shown
    assert len(read_splits(tmp_path / "run" / "splits.json")) == folds


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path, monkeypatch, capfd):
    folder = build.nnunet(tmp_path / "data")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("autoseg.dataset.disk_space.shutil.disk_usage", lambda path: usage._replace(free=1000))
    arguments = ["plan-and-preprocess", str(folder), "-o", str(tmp_path / "run"), "--device", "cpu", "--workers", "1"]
    assert status_of(arguments) == 2
    # 5 cases of 120 voxels, six bytes each
    assert "about 3.6 KB are needed on this disk, 1 KB are free" in on_one_line(capfd.readouterr().err)
    assert not (tmp_path / "run").exists()
