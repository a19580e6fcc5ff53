"""Evaluation of folders: what is matched, what is an error, what is written."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from autoseg.errors import InputError
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, write_image
from autoseg.image.labels import Labels
from autoseg.metrics import Summary
from inference.compare import Pair, compare
from inference.evaluation.evaluate import IncompleteEvaluation, evaluate_folders
from tests.example_record import example_geometry

GRID = example_geometry((6, 20, 20), (3.0, 1.0, 1.0))


def box(first: int, value: int = 1) -> np.ndarray:
    label = np.zeros(GRID.shape, np.uint8)
    label[2:4, first : first + 8, 4:12] = value
    return label


def write(folder: Path, name: str, array: np.ndarray, geometry: Geometry = GRID) -> None:
    write_image(folder / name, Image(array[None], geometry))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    reference, prediction = tmp_path / "data" / "labelsTs", tmp_path / "predicted"
    for i, shift in enumerate((4, 6, 8)):
        write(reference, f"case_{i}.nii.gz", box(4))
        write(prediction, f"case_{i}.nrrd", box(shift))
    return reference, prediction, tmp_path / "report"


def test_folders_are_matched_by_name_whatever_the_format(folders: tuple[Path, Path, Path]) -> None:
    summary = evaluate_folders(*folders)
    assert summary.mean_dice == pytest.approx((1 + 6 / 8 + 4 / 8) / 3)
    assert [c.name for c in summary.classes] == ["label 1"]
    assert summary.problems == () and summary.warnings == ()
    assert Summary.model_validate_json((folders[2] / "summary.json").read_text(encoding="utf-8")) == summary
    with (folders[2] / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(r["case"], r["class"], float(r["dice"])) for r in rows] == [
        ("case_0", "label 1", 1.0),
        ("case_1", "label 1", 0.75),
        ("case_2", "label 1", 0.5),
    ]


def test_the_page_needs_no_other_file_and_no_network(folders: tuple[Path, Path, Path]) -> None:
    evaluate_folders(*folders)
    text = (folders[2] / "report.html").read_text(encoding="utf-8")
    sources = re.findall(r"""(?:src|href|url\()\s*=?\s*["']?([^"')>\s]+)""", text)
    assert sources and all(source.startswith("data:") for source in sources)
    assert text.count("data:image/png") == 3
    assert "http://" not in text and "https://" not in text


def test_labels_are_named_by_the_dataset_json_beside_the_references(folders: tuple[Path, Path, Path]) -> None:
    declared = {"name": "Spines", "labels": {"background": 0, "body": 1, "lesion": 2}, "synthetic": True}
    (folders[0].parent / "dataset.json").write_text(json.dumps(declared), encoding="utf-8")
    summary = evaluate_folders(*folders)
    assert (summary.dataset, summary.synthetic) == ("Spines", True)
    assert [c.name for c in summary.classes] == ["body", "lesion"]
    assert summary.classes[1].both_empty == 3
    assert summary.classes_without_dice == ("lesion",)
    assert "Synthetic data." in (folders[2] / "report.html").read_text(encoding="utf-8")


def test_a_missing_prediction_is_an_error_that_names_it_and_the_rest_is_reported(
    folders: tuple[Path, Path, Path],
) -> None:
    (folders[1] / "case_1.nrrd").unlink()
    with pytest.raises(IncompleteEvaluation, match=r"case case_1: has no prediction in .*predicted") as raised:
        evaluate_folders(*folders)
    assert raised.value.exit_status == 1
    assert raised.value.summary.cases == 2
    assert raised.value.summary.mean_dice == pytest.approx((1 + 4 / 8) / 2)
    assert "case_1: has no prediction" in (folders[2] / "report.html").read_text(encoding="utf-8")


def test_a_prediction_without_reference_is_a_warning(folders: tuple[Path, Path, Path]) -> None:
    write(folders[1], "other.nii.gz", box(4))
    summary = evaluate_folders(*folders)
    assert summary.cases == 3
    assert [w for w in summary.warnings if "case other" in w]


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        (Geometry(GRID.shape, GRID.spacing, (0.06, 0.0, 0.0), GRID.direction), r"up to 0.06 mm \(0.06 voxels\) apart"),
        (
            Geometry(GRID.shape, (3.0, 1.0, 1.01), GRID.origin, GRID.direction),
            "spacing 3 × 1 × 1.01 against 3 × 1 × 1 mm",
        ),
    ],
)
def test_a_prediction_on_another_grid_is_an_error(
    folders: tuple[Path, Path, Path], geometry: Geometry, message: str
) -> None:
    write(folders[1], "case_2.nrrd", box(4), geometry)
    with pytest.raises(IncompleteEvaluation, match=rf"case case_2: .*{message}"):
        evaluate_folders(*folders)


def test_a_shift_below_a_thousandth_of_a_voxel_passes(folders: tuple[Path, Path, Path]) -> None:
    near = Geometry(GRID.shape, GRID.spacing, (0.0009, 0.0, 0.0), GRID.direction)
    write(folders[1], "case_2.nrrd", box(4), near)
    assert evaluate_folders(*folders).cases == 3


def test_another_shape_an_undeclared_value_and_a_broken_file_are_named(folders: tuple[Path, Path, Path]) -> None:
    write(folders[1], "case_0.nrrd", box(4)[:5], Geometry((5, 20, 20), GRID.spacing, GRID.origin, GRID.direction))
    write(folders[1], "case_1.nrrd", box(4, value=7))
    (folders[1] / "case_2.nrrd").write_bytes(b"no image")
    with pytest.raises(IncompleteEvaluation) as raised:
        evaluate_folders(*folders)
    shape, value, broken = raised.value.summary.problems
    assert "case_0" in shape and "5 × 20 × 20 against 6 × 20 × 20 voxels (z, y, x)" in shape
    assert "case_1" in value and "7" in value
    assert "case_2" in broken and "case_2.nrrd" in broken
    assert raised.value.summary.mean_dice is None


def test_more_labels_than_there_are_indices_are_refused(folders: tuple[Path, Path, Path]) -> None:
    instances = np.arange(np.prod(GRID.shape), dtype=np.uint16).reshape(GRID.shape) % 300
    write(folders[0], "case_0.nii.gz", instances)
    with pytest.raises(InputError, match="299 labels beside 0"):
        evaluate_folders(*folders)


def test_a_reference_with_a_voxel_that_is_no_number_is_named(folders: tuple[Path, Path, Path]) -> None:
    array = box(3).astype(np.float32)
    array[0, 0, 0] = np.nan
    write(folders[0], "case_0.nii.gz", array)
    with pytest.raises(IncompleteEvaluation, match="case_0"):
        evaluate_folders(*folders)


def test_folders_that_do_not_fit_are_refused(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds no label file"):
        evaluate_folders(empty, folders[1], folders[2])
    with pytest.raises(InputError, match=r"no file has the name of a reference .*case_0"):
        evaluate_folders(folders[0], empty, folders[2])
    with pytest.raises(InputError, match="is not a folder"):
        evaluate_folders(tmp_path / "absent", folders[1], folders[2])
    write(folders[1], "case_0.nii.gz", box(4))
    with pytest.raises(InputError, match="are both named case_0"):
        evaluate_folders(*folders)
    assert not folders[2].exists()


def test_spawned_workers_give_what_one_process_gives(folders: tuple[Path, Path, Path]) -> None:
    assert evaluate_folders(*folders, workers=2) == evaluate_folders(*folders, workers=1)


def test_folders_are_split_by_the_table_beside_them(folders: tuple[Path, Path, Path]) -> None:
    table = "case,T1,label,lesion_type,fold\n"
    kinds = ("lytic", "", "lytic")
    table += "".join(f"name {i},T1_{i}.nii.gz,labelsTs/case_{i}.nii.gz,{kind},{i}\n" for i, kind in enumerate(kinds))
    (folders[0].parent / "cases.csv").write_text(table, encoding="utf-8")
    summary = evaluate_folders(*folders)
    assert set(summary.strata) == {"lesion_type", "fold"}
    assert [(group.name, group.cases, group.mean_dice) for group in summary.strata["lesion_type"]] == [
        ("lytic", 2, pytest.approx(0.75)),
        ("not stated", 1, pytest.approx(0.75)),
    ]
    with (folders[2] / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(r["lesion_type"], r["fold"], r["stratum_fold"]) for r in rows] == [
        ("lytic", "", "0"),
        ("not stated", "", "1"),
        ("lytic", "", "2"),
    ]
    (folders[0].parent / "cases.csv").unlink()
    evaluate_folders(*folders)
    assert not (folders[2] / "strata.csv").exists()


def test_real_labels_against_themselves_are_perfect(test_data: Path) -> None:
    labels = Labels(values=(0, 1, 2), names=("background", "anterior", "posterior"))
    file = test_data / "hippocampus40" / "labelsTr" / "hippocampus_001.nii.gz"
    compared = compare(Pair("hippocampus_001", file, file), labels)
    assert compared.problem is None
    for row in compared.rows:
        assert (row.dice, row.hd95_mm, row.volume_error_ml) == (1.0, 0.0, 0.0)
        assert row.surface_dice == pytest.approx(1.0)
