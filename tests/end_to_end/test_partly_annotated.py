"""The whole path in seconds where nobody looked for one of two classes in half of the cases."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import autoseg
from autoseg.dataset.fingerprint import read_fingerprint
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import read_record
from autoseg.run_folder.selection import read_selection
from autoseg.run_folder.splits import Split, write_splits
from tests.autoseg.dataset import build
from tests.end_to_end.plan_of_seconds import FITTED, plan_of_seconds

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SHAPE = (8, 24, 28)
SPACING = (1.0, 1.0, 4.0)
CASES = tuple(f"case_{i}" for i in range(4))
LABELS = {"background": 0, "organ": 1, "lesion": 2}
# nobody looked for lesions in the even cases
LOOKED_FOR = {case: i % 2 == 1 for i, case in enumerate(CASES)}


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Image and whole label (z, y, x): a box, and a brighter one apart from it."""
    rng = np.random.default_rng(seed)
    label = np.zeros(SHAPE, np.uint8)
    y, x = rng.integers(2, 6), rng.integers(2, 5)
    label[1:7, y : y + 14, x : x + 10] = 1
    label[2:6, y + 3 : y + 10, x + 13 : x + 20] = 2
    return (100 + 60 * label + rng.normal(0, 8, SHAPE)).astype(np.float32), label


def drawn_label(seed: int) -> np.ndarray:
    """The label as it was drawn: without lesions where nobody looked for them."""
    label = draw(seed)[1]
    return label if LOOKED_FOR[CASES[seed]] else np.where(label == 2, 0, label).astype(np.uint8)


def make(folder: Path) -> Path:
    rows = []
    for seed, case in enumerate(CASES):
        build.write(folder / "images" / f"{case}.nii.gz", draw(seed)[0], spacing=SPACING)
        build.write(folder / "labels" / f"{case}.nii.gz", drawn_label(seed), spacing=SPACING)
        annotated = "" if LOOKED_FOR[case] else "Organ"
        row = {"case": case, "T1": f"images/{case}.nii.gz", "label": f"labels/{case}.nii.gz", "annotated": annotated}
        rows.append(row)
    build.write_table(folder, rows)
    build.write_json(folder / "dataset.json", {"labels": LABELS})
    return folder


def dice(predicted: np.ndarray, label: np.ndarray, value: int) -> float:
    a, b = predicted == value, label == value
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_a_class_counts_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FITTED, plan_of_seconds("lesion"))
    dataset, run = make(tmp_path / "data"), RunFolder(tmp_path / "run")
    write_splits(run.splits, (Split(train=CASES[:2], val=CASES[2:]), Split(train=CASES[2:], val=CASES[:2])))
    autoseg.run(dataset, run.path, config="3d", device="cpu", workers=1, threads=1)

    plan = read_plan(run.plan)
    known = [read_record(run.case(plan.preprocessed_as("3d"), case)).annotated for case in CASES]
    assert known == ["all" if LOOKED_FOR[case] else ("organ",) for case in CASES]
    measured = {case.case: set(case.classes) for case in read_fingerprint(run.fingerprint).cases}
    assert measured == {case: {"organ", "lesion"} if there else {"organ"} for case, there in LOOKED_FOR.items()}

    expected = {"organ": [], "lesion": []}
    for seed, case in enumerate(CASES):
        predicted = sitk.GetArrayFromImage(sitk.ReadImage(str(run.cross_validation("3d") / f"{case}.nii.gz")))
        # lesions are found also where nobody drew them, as learned from the other case of the fold
        whole = draw(seed)[1]
        assert dice(predicted, whole, 1) > 0.6 and dice(predicted, whole, 2) > 0.5, case
        expected["organ"].append(dice(predicted, drawn_label(seed), 1))
        if LOOKED_FOR[case]:
            expected["lesion"].append(dice(predicted, whole, 2))
    summary = json.loads((run.report / "summary.json").read_text(encoding="utf-8"))
    told = {c["name"]: (c["cases"], c["not_annotated"], c["metrics"]["dice"]["mean"]) for c in summary["classes"]}
    assert list(told) == ["organ", "lesion"]
    assert told["organ"] == (4, 0, pytest.approx(np.mean(expected["organ"])))
    assert told["lesion"] == (2, 2, pytest.approx(np.mean(expected["lesion"])))
    lesions = next(c for c in summary["classes"] if c["name"] == "lesion")["lesions"]
    assert lesions["reference"] == 2 and summary["cases"] == 4

    finished = json.loads((run.fold("3d", 0) / "finished.json").read_text(encoding="utf-8"))
    assert finished["dice"]["case_2"] == [pytest.approx(expected["organ"][2]), None]
    assert finished["dice"]["case_3"] == pytest.approx([expected["organ"][3], expected["lesion"][1]])
    with (run.report / "metrics.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    empty = [line for line in lines if line["annotated"] == "not annotated"]
    assert sorted((line["case"], line["class"], line["dice"], line["fp"]) for line in empty) == [
        ("case_0", "lesion", "", ""),
        ("case_2", "lesion", "", ""),
    ]
    assert len(lines) == 8 and all(line["dice"] for line in lines if line["annotated"] == "yes")
    assert "lesion in 2 of 4 cases" in (run.report / "report.html").read_text(encoding="utf-8")
    log = (run.fold("3d", 0) / "log.csv").read_text(encoding="utf-8")
    assert "nan" not in log and "inf" not in log

    selection = read_selection(run, plan)
    assert selection is not None
    # probabilities are kept in 8 bit for the choice
    best = {name: np.mean(values) for name, values in expected.items()}
    assert selection.candidates[0].dice == pytest.approx(best, abs=2e-3)
    performance = {of_class.name: of_class for of_class in selection.plain.classes}
    assert performance["lesion"].cases == 2 and performance["lesion"].lesions == 2
    suspected = (run.path / "suspects.csv").read_text(encoding="utf-8") if (run.path / "suspects.csv").exists() else ""
    assert "case_0" not in suspected and "case_2" not in suspected

    # a folder of label maps with the table beside it, and without one
    report = autoseg.evaluate(dataset / "labels", run.cross_validation("3d"), tmp_path / "report", threads=1)
    assert [(c.name, c.cases, c.not_annotated) for c in report.classes] == [("organ", 4, 0), ("lesion", 2, 2)]
    assert report.classes[1].metrics["dice"].mean == pytest.approx(np.mean(expected["lesion"]))
    (dataset / "cases.csv").rename(tmp_path / "elsewhere.csv")
    report = autoseg.evaluate(dataset / "labels", run.cross_validation("3d"), tmp_path / "report", threads=1)
    assert [(c.name, c.cases, c.only_reference_empty) for c in report.classes] == [("organ", 4, 0), ("lesion", 4, 2)]
