"""The whole path in seconds with regions, and with voxels that are not annotated."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import autoseg
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.selection import read_selection
from autoseg.run_folder.splits import Split, write_splits
from tests.autoseg.dataset import build
from tests.end_to_end.plan_of_seconds import FITTED, plan_of_seconds

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SHAPE = (8, 24, 28)
SPACING = (1.0, 1.0, 4.0)
CASES = tuple(f"case_{i}" for i in range(4))
REGIONS = {"background": 0, "whole": [1, 2], "core": 2}
KINDS = {
    "regions": REGIONS,
    "ignore": {"background": 0, "rim": 1, "core": 2, "ignore": 3},
}
MEMBERS = {"whole": (1, 2), "rim": (1,), "core": (2,)}


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Image and label (z, y, x): a box with a brighter core."""
    rng = np.random.default_rng(seed)
    label = np.zeros(SHAPE, np.uint8)
    y, x = rng.integers(3, 7), rng.integers(3, 9)
    label[1:7, y : y + 13, x : x + 15] = 1
    label[2:6, y + 4 : y + 10, x + 4 : x + 11] = 2
    return (100 + 60 * label + rng.normal(0, 8, SHAPE)).astype(np.float32), label


def annotated(seed: int) -> np.ndarray:
    """The slices (z,) of a case that are annotated, where some are not."""
    return np.arange(SHAPE[0]) % 2 == seed % 2


def spoiled(label: np.ndarray, seed: int) -> np.ndarray:
    """The label with 3 where it is not annotated."""
    return np.where(annotated(seed)[:, None, None], label, 3).astype(np.uint8)


def make(folder: Path, labels: dict[str, object]) -> Path:
    for seed, case in enumerate(CASES):
        image, label = draw(seed)
        build.write(folder / "imagesTr" / f"{case}_0000.nii.gz", image, spacing=SPACING)
        label = spoiled(label, seed) if "ignore" in labels else label
        build.write(folder / "labelsTr" / f"{case}.nii.gz", label, spacing=SPACING)
    declared = {"channel_names": {"0": "T1"}, "labels": labels, "numTraining": 4, "file_ending": ".nii.gz"}
    build.write_json(folder / "dataset.json", declared)
    return folder


def dice(predicted: np.ndarray, label: np.ndarray, values: tuple[int, ...]) -> float:
    a, b = np.isin(predicted, values), np.isin(label, values)
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize("kind", KINDS)
def test_from_a_data_set_to_predictions(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FITTED, plan_of_seconds("core"))
    dataset, run = make(tmp_path / "data", KINDS[kind]), RunFolder(tmp_path / "run")
    write_splits(run.splits, (Split(train=CASES[:2], val=CASES[2:]), Split(train=CASES[2:], val=CASES[:2])))
    autoseg.run(dataset, run.path, config="3d", device="cpu", workers=1)

    plan = read_plan(run.plan)
    learned = tuple(name for name in KINDS[kind] if name in MEMBERS)
    assert plan.labels.foreground == learned and plan.labels.overlapping == (kind != "ignore")
    summary = json.loads((run.report / "summary.json").read_text(encoding="utf-8"))
    assert [c["name"] for c in summary["classes"]] == list(learned)
    expected = {name: [] for name in learned}
    for seed, case in enumerate(CASES):
        predicted = sitk.GetArrayFromImage(sitk.ReadImage(str(run.cross_validation("3d") / f"{case}.nii.gz")))
        assert set(np.unique(predicted)) <= {0, 1, 2}
        label, kept = draw(seed)[1], annotated(seed) if "ignore" in KINDS[kind] else slice(None)
        for name in learned:
            # what is learned from some slices holds for the others too
            assert dice(predicted, label, MEMBERS[name]) > 0.6, (case, name)
            expected[name].append(dice(predicted[kept], label[kept], MEMBERS[name]))
    for of_class in summary["classes"]:
        assert of_class["metrics"]["dice"]["mean"] == pytest.approx(np.mean(expected[of_class["name"]]))
    finished = json.loads((run.fold("3d", 0) / "finished.json").read_text(encoding="utf-8"))
    assert finished["dice"]["case_2"] == pytest.approx([expected[name][2] for name in learned])
    selection = read_selection(run, plan)
    assert selection is not None
    best = selection.candidates[0]
    # probabilities are kept in 8 bit for the choice
    assert best.dice == pytest.approx({name: np.mean(values) for name, values in expected.items()}, abs=2e-3)

    image, label = draw(9)
    build.write(tmp_path / "new" / "a_0000.nii.gz", image, spacing=SPACING)
    autoseg.predict(run.path, tmp_path / "new", tmp_path / "predicted", device="cpu", save_probabilities=True)
    predicted = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "predicted" / "a.nii.gz")))
    assert set(np.unique(predicted)) <= {0, 1, 2} and dice(predicted, label, (1, 2)) > 0.85
    files = {path.name.removesuffix(".nii.gz") for path in (tmp_path / "predicted" / "probabilities" / "a").iterdir()}
    assert files == ({"label_0", "label_1", "label_2"} if kind == "ignore" else {"region_1", "region_2"})

    build.write(tmp_path / "truth" / "a.nii.gz", spoiled(label, 9), spacing=SPACING)
    (tmp_path / "truth" / "dataset.json").write_text((dataset / "dataset.json").read_text())
    if "ignore" not in KINDS[kind]:
        build.write(tmp_path / "truth" / "a.nii.gz", label, spacing=SPACING)
    report = autoseg.evaluate(tmp_path / "truth", tmp_path / "predicted", tmp_path / "report")
    kept = annotated(9) if "ignore" in KINDS[kind] else slice(None)
    for of_class in report.classes:
        right = dice(predicted[kept], label[kept], MEMBERS[of_class.name])
        assert of_class.metrics["dice"].mean == pytest.approx(right)
