"""The whole path in seconds: a table with a sequence missing, labels 0, 200, 500, 600 as floats, in 2D, 2.5D and 3D."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import autoseg
from autoseg.plan.configuration import Configuration, Prediction
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import open_case
from autoseg.run_folder.selection import read_selection
from autoseg.run_folder.splits import Split, write_splits
from planner.rules.reference_plan import PlannedDecisions
from tests.autoseg.dataset import build
from tests.example_plan import example_network

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

VALUES = np.array([0, 200, 500, 600])
SHAPE = (8, 24, 28)
SPACING = (1.0, 1.0, 4.0)
CASES = tuple(f"case_{i}" for i in range(4))
NETWORKS = {
    "2d": {"patch_size": (1, 24, 28), "batch_size": 12, "strides": (1, 2, 2), "kernel": (1, 3, 3)},
    "2.5d": {"patch_size": (1, 24, 28), "batch_size": 12, "strides": (1, 2, 2), "kernel": (1, 3, 3)},
    "3d": {"patch_size": (8, 24, 28), "batch_size": 2, "strides": (1, 2, 2), "kernel": (3, 3, 3)},
}


def draw(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """T1, STIR and class indices (z, y, x): three boxes of different signal, a little noise."""
    rng = np.random.default_rng(seed)
    classes = np.zeros(SHAPE, np.uint8)
    for index, (y, x) in enumerate([((3, 10), (3, 11)), ((13, 20), (4, 12)), ((5, 18), (15, 24))], start=1):
        shift = rng.integers(-1, 2, 2)
        classes[1:6, y[0] + shift[0] : y[1] + shift[0], x[0] + shift[1] : x[1] + shift[1]] = index
    t1, stir = (100 + sign * 60 * classes + rng.normal(0, 8, SHAPE) for sign in (1.0, -1.0))
    return t1.astype(np.float32), (stir + 300).astype(np.float32), classes


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder, rows = tmp_path / "data", []
    for seed, case in enumerate(CASES):
        t1, stir, classes = draw(seed)
        row = {"case": case, "T1": f"{case}_t1.nii.gz", "STIR": f"{case}_stir.nii.gz", "label": f"{case}_seg.nii.gz"}
        # every second case is stored from left to right and from head to foot
        direction = np.diag([-1.0, 1.0, -1.0]) if seed % 2 else None
        build.write(folder / row["T1"], t1, spacing=SPACING, direction=direction)
        build.write(folder / row["label"], VALUES[classes].astype(np.float32), spacing=SPACING, direction=direction)
        if case == "case_1":
            row["STIR"] = ""
        else:
            build.write(folder / row["STIR"], stir, spacing=SPACING, direction=direction)
        rows.append(row)
    build.write_table(folder, rows)
    return folder


def shrunk(name: str, reference: Configuration) -> Configuration:
    """A network and a schedule that take seconds."""
    small = NETWORKS[name]
    training = {"iterations": 200, "iterations_per_epoch": 100, "optimizer": "adamw", "learning_rate": 0.02}
    training |= {"warmup": 0.1, "average_decay": 0.9, "mirror": (), "validate_every": 1}
    return reference.changed(
        patch_size=small["patch_size"],
        batch_size=small["batch_size"],
        network=example_network(
            features=(8, 16),
            strides=((1, 1, 1), small["strides"]),
            kernel_sizes=(small["kernel"],) * 2,
            encoder_blocks=(1, 1),
            decoder_blocks=(1,),
        ),
        training=reference.training.changed(**training),
        prediction=Prediction(overlap=0.5, mirror=()),
    )


def fit(decisions: PlannedDecisions, *arguments: object, device: str, **options: object) -> PlannedDecisions:
    """In place of planning for the time at hand."""
    planned = {name: shrunk(name, c) for name, c in decisions.plan.configurations.items() if name in NETWORKS}
    plan = decisions.plan.changed(configurations=planned, device=device)
    return PlannedDecisions(plan, decisions.reasons)


def agreement(file: Path, classes: np.ndarray) -> float:
    """Mean Dice over the three structures; the file must hold the data set's values in a type that does."""
    image = sitk.ReadImage(str(file))
    assert image.GetPixelID() == sitk.sitkUInt16
    predicted = sitk.GetArrayFromImage(image)
    assert set(np.unique(predicted)) <= set(VALUES)
    pairs = [(predicted == value, classes == index) for index, value in enumerate(VALUES[1:], start=1)]
    return float(np.mean([2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in pairs]))


@pytest.mark.parametrize("configuration", ["2d", "2.5d", "3d"])
def test_from_a_table_to_predictions(dataset, tmp_path, monkeypatch, configuration):
    monkeypatch.setattr("planner.budget.time_budget.fit_to_budget", fit)
    run = RunFolder(tmp_path / "run")
    write_splits(run.splits, (Split(train=CASES[:2], val=CASES[2:]), Split(train=CASES[2:], val=CASES[:2])))
    autoseg.run(dataset, run.path, config=configuration, device="cpu", workers=1)

    prepared = open_case(run.case(read_plan(run.plan).preprocessed_as(configuration), "case_1"))
    assert prepared.record.present == (True, False) and not prepared.image[1].any() and prepared.image[0].any()
    assert prepared.record.shape == SHAPE
    for seed, case in enumerate(CASES):
        assert agreement(run.cross_validation(configuration) / f"{case}.nii.gz", draw(seed)[2]) > 0.8, case
    summary = json.loads((run.report / "summary.json").read_text(encoding="utf-8"))
    assert summary["mean_dice"] > 0.8 and summary["cases"] == 4
    assert [c["name"] for c in summary["classes"]] == ["label 200", "label 500", "label 600"]

    t1, stir, classes = draw(9)
    build.write(tmp_path / "new" / "t1.mha", t1, spacing=SPACING)
    build.write(tmp_path / "new" / "stir.mha", stir, spacing=SPACING)
    build.dicom(tmp_path / "new" / "series", np.rint(t1), spacing=SPACING)
    rows = [
        {"case": "both", "T1": "t1.mha", "STIR": "stir.mha"},
        {"case": "slices", "T1": "series", "STIR": ""},
    ]
    build.write_table(tmp_path / "new", rows)
    autoseg.predict(run.path, tmp_path / "new", tmp_path / "out", config=configuration, device="cpu")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        *("both.mha", "labels.json", "labels_itksnap.txt", "measurements.csv", "slices.nii.gz")
    ]
    assert agreement(tmp_path / "out" / "both.mha", classes) > 0.8
    assert agreement(tmp_path / "out" / "slices.nii.gz", classes) > 0.8


def test_both_are_trained_the_better_is_selected_and_predicts(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("planner.budget.time_budget.fit_to_budget", fit)
    run = RunFolder(tmp_path / "run")
    write_splits(run.splits, (Split(train=CASES[:2], val=CASES[2:]), Split(train=CASES[2:], val=CASES[:2])))
    autoseg.run(dataset, run.path, config=["2d", "3d"], device="cpu", workers=1)
    at_the_end = read_selection(run, read_plan(run.plan))
    page = (run.report / "report.html").read_text(encoding="utf-8")
    assert at_the_end is not None and "Selected for prediction" in page and at_the_end.why_this_point in page
    selection = autoseg.select(run.path, workers=1)
    assert selection == at_the_end
    by_name = {candidate.configurations: candidate.mean_dice for candidate in selection.candidates}
    assert set(by_name) == {("2d",), ("3d",), ("2d", "3d")} and selection.cases == 4
    assert max(by_name.values()) == by_name[selection.configurations] > 0.8
    summaries = [run.report / "summary.json", run.report / "3d" / "summary.json"]
    reported = [json.loads(file.read_text(encoding="utf-8"))["mean_dice"] for file in summaries]
    assert [by_name[("2d",)], by_name[("3d",)]] == pytest.approx(reported, abs=5e-3)
    t1, stir, classes = draw(9)
    build.write(tmp_path / "new" / "t1.nii.gz", t1, spacing=SPACING)
    build.write(tmp_path / "new" / "stir.nii.gz", stir, spacing=SPACING)
    build.write_table(tmp_path / "new", [{"case": "both", "T1": "t1.nii.gz", "STIR": "stir.nii.gz"}])
    autoseg.predict(run.path, tmp_path / "new", tmp_path / "selected", device="cpu")
    autoseg.predict(run.path, tmp_path / "new", tmp_path / "mixed", config=["2d", "3d"], device="cpu")
    for folder in ("selected", "mixed"):
        assert agreement(tmp_path / folder / "both.nii.gz", classes) > 0.8
