"""Evaluation of a run: which folds and cases count, what is an error, what is written."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from autoseg.disk.checksums import SEAL
from autoseg.errors import RunFolderError
from autoseg.image.image import read_label
from autoseg.plan.plan import read_plan, write_plan
from autoseg.run_folder.splits import read_splits, write_splits
from inference.evaluation.evaluate import IncompleteEvaluation, report_run
from tests.inference.run_fixture import CASES, make_run, reference_of


def test_a_run_is_evaluated_without_the_raw_data(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    summary = report_run(run, "3d")
    assert (summary.cases, summary.configuration, summary.synthetic) == (6, "3d", False)
    bodies = [2 * np.sum((a == 3) & (b == 3)) / (np.sum(a == 3) + np.sum(b == 3)) for a, b in _maps(run.path)]
    assert summary.classes[0].metrics["dice"].mean == pytest.approx(np.mean(bodies))
    lesion = summary.classes[1]
    assert (lesion.lesions.reference, lesion.lesions.found, lesion.both_empty) == (6, 3, 3)
    assert [(f.name, f.cases) for f in summary.folds] == [("fold 0", 3), ("fold 1", 3)]
    assert {s.name for s in summary.strata["lesion_type"]} == {"lytic", "none"}
    text = (run.report / "report.html").read_text(encoding="utf-8")
    for said in ("spine &lt;test&gt;", "twice as coarse: it is a test", "STIR (in 5 of 6 cases)", "1 min 15 s"):
        assert said in text
    with (run.report / "metrics.csv").open(encoding="utf-8") as file:
        folds = {row["case"]: row["fold"] for row in csv.DictReader(file)}
    assert folds == {case: str(i // 3) for i, case in enumerate(CASES)}


def test_a_run_is_split_by_its_strata_in_every_file(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    summary = report_run(run, "3d")
    lytic = next(group for group in summary.strata["lesion_type"] if group.name == "lytic")
    assert (lytic.cases, lytic.classes[1].lesions.reference, lytic.classes[1].lesions.found) == (3, 6, 3)
    with (run.report / "metrics.csv").open(encoding="utf-8") as file:
        kinds = {row["case"]: row["lesion_type"] for row in csv.DictReader(file)}
    assert kinds == {case: "lytic" if i % 2 else "none" for i, case in enumerate(CASES)}
    with (run.report / "strata.csv").open(encoding="utf-8") as file:
        lines = {(r["column"], r["stratum"], r["class"]): r for r in csv.DictReader(file)}
    assert set(lines) == {
        (column, stratum, name)
        for column, stratum in (("", "all"), ("lesion_type", "lytic"), ("lesion_type", "none"))
        for name in ("body", "lesion")
    }
    line = lines["lesion_type", "lytic", "lesion"]
    assert (line["cases"], line["dice_n"], line["lesions_reference"], line["lesions_found"]) == ("3", "3", "6", "3")
    assert float(line["dice_mean"]) == pytest.approx(lytic.dice["lesion"].mean, abs=1e-6)
    assert float(line["lesions_f2"]) == pytest.approx(lytic.classes[1].lesions.f2, abs=1e-6)
    sizes = [
        int(line[f"lesions_{size}_reference"]) for size in ("0_to_5_mm", "5_to_10_mm", "10_to_20_mm", "from_20_mm")
    ]
    assert sum(sizes) == 6
    page = (run.report / "report.html").read_text(encoding="utf-8")
    assert "Results by lesion type" in page and "<td>lytic</td>" in page


@pytest.mark.parametrize(
    ("recorded", "name", "told"),
    [(True, "spines", True), (False, "knee phantom", False), (None, "synthetic spine phantom", True)],
)
def test_a_run_on_synthetic_images_says_so(tmp_path: Path, recorded: bool | None, name: str, told: bool) -> None:
    """Records of earlier releases do not state it: then the name of the data set tells."""
    run = make_run(tmp_path / "run")
    write_plan(run.plan, read_plan(run.plan).changed(dataset=name), {})
    stated = json.loads(run.dataset.read_text(encoding="utf-8"))
    del stated["synthetic"], stated[SEAL]
    run.dataset.write_text(json.dumps(stated if recorded is None else stated | {"synthetic": recorded}), "utf-8")
    assert report_run(run, "3d").synthetic is told
    assert ("Synthetic data." in (run.report / "report.html").read_text(encoding="utf-8")) is told


def test_an_unfinished_fold_is_left_out_with_a_warning(tmp_path: Path) -> None:
    summary = report_run(make_run(tmp_path / "run", finished=1), "3d")
    assert summary.cases == 3
    assert [w for w in summary.warnings if w.startswith("fold 1: not finished")]


def test_predictions_of_a_fold_that_was_deleted_do_not_count(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    run.finished("3d", 1).unlink()
    assert (run.cross_validation("3d") / "spine_4.nii.gz").exists()
    summary = report_run(run, "3d")
    assert summary.cases == 3
    assert [w for w in summary.warnings if w.startswith("fold 1: not finished")]


def test_a_run_without_any_prediction_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"no case is predicted yet; `autoseg train"):
        report_run(make_run(tmp_path / "run", finished=0), "3d")


def test_a_lost_prediction_of_a_finished_fold_is_an_error(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (run.cross_validation("3d") / "spine_4.nii.gz").unlink()
    with pytest.raises(IncompleteEvaluation, match="case spine_4: its prediction is missing"):
        report_run(run, "3d")


def test_folds_that_learned_from_the_cases_they_would_be_judged_on_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    splits = read_splits(run.splits)
    write_splits(run.splits, splits[::-1])
    with pytest.raises(RunFolderError, match=r"fold 0 of 3d was trained with another split .* learned from spine_3"):
        report_run(run, "3d")
    assert not run.report.exists()
    write_splits(run.splits, (splits[0], splits[1].changed(train=splits[1].train[:-1])))
    with pytest.raises(RunFolderError, match=r"fold 1 of 3d was trained .*differing: spine_2\)"):
        report_run(run, "3d")
    # another order of the same cases is the same split
    write_splits(run.splits, tuple(s.changed(train=s.train[::-1]) for s in splits))
    assert report_run(run, "3d").cases == 6


def test_a_damaged_summary_of_a_fold_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    run.finished("3d", 1).write_text('{"fold": 1}', encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"fold_1.finished\.json: steps"):
        report_run(run, "3d")


def test_a_run_is_reported_without_fingerprint_dataset_and_logs(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    run.dataset.unlink()
    (run.fold("3d", 0) / "log.csv").write_text("step\nnonsense\n", encoding="utf-8")
    (run.fold("3d", 1) / "log.csv").unlink()
    (run.case("3d", "spine_1") / "image.b2nd").unlink()
    assert report_run(run, "3d").cases == 6


def _maps(run: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    predictions = run / "cross_validation" / "3d"
    return [(reference_of(i), read_label(predictions / f"{c}.nii.gz").array[0]) for i, c in enumerate(CASES)]


def test_the_report_says_what_is_unusual_in_a_persons_own_folds(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert report_run(run, "3d").warnings == ()
    first, second = read_splits(run.splits)
    write_splits(run.splits, (first, second.changed(val=second.val[:-1])))
    (warning,) = report_run(run, "3d").warnings
    assert f"in no validation, so not part of the results: {second.val[-1]}" in warning
    assert warning in (run.report / "report.html").read_text(encoding="utf-8")
