"""Sequences between which the patient moved are told when a data set is measured, with the largest case."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from autoseg.commands.raw_data import _bytes_in, keep_fingerprint, read_and_check
from autoseg.run_folder.paths import RunFolder
from tests.autoseg.dataset import build
from tests.autoseg.preprocessing.test_align import SHAPE, SPACING, T1, T2, anatomy, contrast, displaced

STILL = ((0, 0, 0), (0, 0, 0))
MOVED = ((0, 5.0, 0), (0, 0, 4.8))
"""Translation in mm and rotation in degrees (x, y, z)."""


def told_of(folder: Path, *movements: tuple[tuple[float, ...], tuple[float, ...]]) -> list[str]:
    build.nnunet(folder / "raw", len(movements), ("T1", "T2"))
    label = np.zeros(SHAPE, np.uint8)
    label[6:9, 20:24, 18:22] = 1
    for i, movement in enumerate(movements):
        still, other = contrast(anatomy(i), T1), displaced(contrast(anatomy(i), T2), *movement)
        names = (f"imagesTr/case_{i}_0000", f"imagesTr/case_{i}_0001", f"labelsTr/case_{i}")
        for name, array in zip(names, (still, other, label), strict=True):
            build.write(folder / "raw" / f"{name}.nii.gz", array, spacing=SPACING[::-1])
    run, out = RunFolder(folder / "run"), io.StringIO()
    run.path.mkdir()
    console = Console(file=out, width=300)
    read = read_and_check(folder / "raw", run, workers=1, trust_times=False, console=console)
    keep_fingerprint(run, read, workers=1, console=console)
    return [line for line in out.getvalue().splitlines() if " lies more than " in line]


def test_what_lies_apart_is_told_with_its_rotation(tmp_path: Path) -> None:
    (told,) = told_of(tmp_path, STILL, MOVED)
    found = re.fullmatch(
        r"T2 lies more than 2 mm or 2 degrees from T1 in 1 of 2 cases \(largest: case case_1, (\d\.\d) mm and "
        r"(\d\.\d) degrees\); --align NAME moves the sequences of each case onto one",
        told,
    )
    assert found is not None
    assert float(found[1]) == pytest.approx(5.0, abs=0.6) and float(found[2]) == pytest.approx(4.8, abs=0.6)


def test_nothing_is_told_where_the_patient_lay_still(tmp_path: Path) -> None:
    assert told_of(tmp_path, STILL, STILL) == []


def test_a_file_that_vanishes_while_room_is_counted_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "image").write_bytes(b"1234567")
    # another process has removed it between the listing and the look at its size
    monkeypatch.setattr("os.walk", lambda folder: [(str(folder / "case"), [], ["image", "gone"])])
    assert _bytes_in(tmp_path) == 7
