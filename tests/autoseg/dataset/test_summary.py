"""The table of what was understood, and the room on the disk."""

import io
from pathlib import Path

import pytest

from autoseg.dataset.check import check_dataset
from autoseg.dataset.disk_space import estimate_bytes, require_disk_space
from autoseg.dataset.read import read_dataset
from autoseg.dataset.summary import print_summary
from autoseg.errors import InputError
from autoseg.terminal import PlainConsole
from tests.autoseg.dataset import build


def printed(path: Path) -> str:
    dataset = read_dataset(path)
    console = PlainConsole(file=io.StringIO(), width=200)
    print_summary(dataset, check_dataset(dataset, workers=1), console)
    return console.file.getvalue()


def row(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"│ {name} "))


def test_everything_that_was_understood_is_shown(tmp_path):
    rows = build.table(tmp_path, channels=("CT", "T1", "STIR"))
    rows[0]["STIR"] = ""
    rows[1]["patient"] = rows[0]["patient"]
    build.write(tmp_path / rows[2]["CT"], build.voxels(), spacing=(1, 1.5, 4))
    build.write(tmp_path / rows[2]["label"], build.label_voxels(), spacing=(1, 1.5, 4))
    build.write_table(tmp_path, rows)
    declared = {"name": "spine [b]MR", "labels": {"background": 0, "metastasis [grey]": 1}}
    build.write_json(tmp_path / "dataset.json", declared)
    text = printed(tmp_path)
    assert "Data set spine [b]MR" in text, "names are no markup"
    assert "5 of 4 patients" in row(text, "cases")
    assert "0: CT (CT)" in text and "2: STIR" in text
    assert "1: metastasis [grey], in 5 cases" in text
    assert "3 to 4 × 1.5 × 1 mm" in row(text, "spacing")
    assert "4 × 5 × 6 voxels" in row(text, "shape")
    assert "SPL: 5" in row(text, "orientations")
    assert "STIR: 4 of 5" in text and "CT: 5 of 5" in text and "all: 4 of 5" in text
    assert "sclerotic: 3, lytic: 2" in row(text, "lesion_type")
    assert "only 4 patients, so 4 folds" in text and "is on another grid than" in text


def test_spacing_is_shown_in_one_axis_order(tmp_path):
    folder = build.nnunet(tmp_path)
    turned = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]  # a sagittal stack: x, y, z of the file grow to P, S, L
    build.write(folder / "imagesTr/case_0_0000.nii.gz", build.voxels(), spacing=(1.5, 3, 1), direction=turned)
    build.write(folder / "labelsTr/case_0.nii.gz", build.label_voxels(), spacing=(1.5, 3, 1), direction=turned)
    text = printed(folder)
    assert "3 × 1.5 × 1 mm" in row(text, "spacing")
    assert "LSP: 1" in row(text, "orientations") and "SPL: 4" in row(text, "orientations")


def test_disk_space(tmp_path):
    require_disk_space(tmp_path / "not" / "there" / "yet", 1000)
    with pytest.raises(InputError, match=r"about 1000000000\.0 GB are needed .* are free"):
        require_disk_space(tmp_path, 10**18)
    assert not (tmp_path / "not").exists()


def test_estimate_holds_the_arrays_of_every_case():
    assert estimate_bytes([(10, 20, 30), (1, 1, 1)], channels=2) == 6001 * (2 * 4 + 2)
