"""A study's files, from the predictions of three cells whose quality is known."""

import re

import numpy as np
import pandas as pd
import pytest

from autoseg.errors import RunFolderError
from autoseg.run_folder.dataset_record import read_record, write_record
from autoseg.run_folder.finished_fold import read_finished, write_finished
from autoseg.run_folder.splits import read_splits
from inference.study.write import write_study
from tests.inference.run_fixture import CASES, reference_of
from tests.inference.study.study_fixture import CELLS, SHIFTS, make_study, prediction_of


def dice_of(case: int, label: str, value: int) -> float:
    """By plain counting; NaN where reference and prediction are empty."""
    truth, guess = reference_of(case) == value, prediction_of(case, SHIFTS[label]) == value
    total = truth.sum() + guess.sum()
    return 2 * (truth & guess).sum() / total if total else float("nan")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    run = make_study(tmp_path_factory.mktemp("study") / "study")
    return run, write_study(run, CELLS, failures={}, workers=1)


def test_results_have_a_row_a_cell_fold_case_and_class(written):
    run, _ = written
    frame = pd.read_csv(run.study / "results.csv")
    assert list(frame.columns[:8]) == [
        *("cell", "sequences", "dimension", "patient", "stratum_lesion_type", "case", "class", "fold"),
    ]
    # spine_0 takes no part in STIR
    assert frame.groupby("cell", sort=False)["case"].nunique().to_dict() == {"T1.3d": 6, "STIR.3d": 5, "all.3d": 6}
    assert not frame.duplicated(["cell", "case", "class"]).any() and len(frame) == 2 * (6 + 5 + 6)
    folds = {case: i for i, split in enumerate(read_splits(run.splits)) for case in split.val}
    values = {"body": 3, "lesion": 8}
    for row in frame.itertuples():
        expected = dice_of(int(row.case[-1]), row.sequences, values[row._7])
        assert row.dice == pytest.approx(expected, abs=1e-6, nan_ok=True)
        assert row.fold == folds[row.case]
        assert row.stratum_lesion_type == ("lytic" if int(row.case[-1]) % 2 else "none")


def test_the_table_is_the_mean_over_the_cases(written):
    run, results = written
    table = pd.read_csv(run.study / "table.csv")
    bodies = table[(table["class"] == "body") & (table["metric"] == "dice")].set_index("sequences")
    for label in SHIFTS:
        dice = [dice_of(i, label, 3) for i in range(6) if not (i == 0 and label == "STIR")]
        assert bodies.loc[label, "3d mean"] == pytest.approx(np.mean(dice))
        assert bodies.loc[label, "3d cases"] == len(dice)
    assert results.labels == ("T1", "STIR", "all") and results.dimensions == ("3d",)
    strata = pd.read_csv(run.study / "table_by_stratum.csv")
    lytic = strata[(strata["value"] == "lytic") & (strata["class"] == "lesion") & (strata["metric"] == "dice")]
    assert lytic["3d cases"].tolist() == [3, 3, 3]


def test_the_order_is_that_of_the_predictions_quality(written):
    run, results = written
    (order,) = results.orders
    assert [rank.cell.label for rank in order.ranks] == ["all", "T1", "STIR"]
    assert order.cases == 5, "over the cases that all cells judge"
    comparisons = pd.read_csv(run.study / "comparisons.csv")
    assert len(comparisons) == 3 * 3, "pairs of cells, by class and by their mean"
    best = comparisons[(comparisons["a"] == "T1.3d") & (comparisons["b"] == "all.3d")].iloc[0]
    assert best["difference"] < 0 and best["effect"] == -1 and best["cases"] == 6


def test_lesions_are_listed_one_by_one(written):
    lesions = pd.read_csv(written[0].study / "lesions.csv")
    of_t1 = lesions[(lesions["cell"] == "T1.3d") & (lesions["class"] == "lesion")]
    assert of_t1.groupby("case").size().to_dict() == {"spine_1": 2, "spine_3": 2, "spine_5": 2}
    # the small one is two voxels deep: moved by two voxels it is missed
    assert sorted(of_t1.loc[of_t1["case"] == "spine_1", "found"]) == [0, 1]
    assert of_t1["diameter_mm"].min() == pytest.approx((6 / np.pi * 4 * 4.0) ** (1 / 3), abs=1e-4)


def test_what_stands_behind_a_cell_is_told(written):
    _, results = written
    facts = {fact.cell.label: fact for fact in results.facts}
    assert (facts["STIR"].cases, facts["STIR"].of_cases, facts["T1"].of_cases) == (5, 5, 6)
    assert facts["all"].steps == "90" and facts["all"].shortened == 2
    assert any("all.3d: 2 of 2 folds took fewer steps" in warning for warning in results.warnings)
    assert results.problems == ()


def test_the_page_shows_everything_and_needs_no_network(written):
    text = (written[0].study / "study.html").read_text(encoding="utf-8")
    sources = re.findall(r"""(?:src|href|url\()\s*=?\s*["']?([^"')>\s]+)""", text)
    assert sources and all(source.startswith("data:") for source in sources)
    assert "http://" not in text and "https://" not in text
    assert text.count("data:image/svg+xml") == 3, "heat map, box plots, lesions"
    assert text.count("data:image/png") == 3, "best, median and worst case"
    for part in (
        "The table",
        "By lesion type",
        "Cell against cell",
        "lytic: 3 cases",
        "spine &lt;test&gt;",
        "4 mm &lt;slices&gt;",
    ):
        assert part in text, part


def test_failures_and_unfinished_folds_are_said_and_the_rest_is_shown(tmp_path):
    run = make_study(tmp_path / "study")
    run.finished("STIR.3d", 1).unlink()
    for case in CASES[3:]:
        (run.cross_validation("STIR.3d") / f"{case}.nii.gz").unlink()
    (run.cross_validation("T1.3d") / "spine_2.nii.gz").unlink()
    results = write_study(run, CELLS, failures={"STIR.3d": "fold 1: out of memory"}, workers=1)
    assert results.problems == (
        "STIR.3d: fold 1: out of memory",
        "T1.3d: case spine_2: its prediction is missing",
    )
    assert any("STIR.3d: 1 of 2 folds are finished" in warning for warning in results.warnings)
    assert results.figure("STIR", "3d", "dice", "body").cases == 2
    rows = results.to_frame().set_index(["class", "sequences", "dimension", "metric"])
    assert rows.loc[("body", "STIR", "3d", "dice"), "cases"] == 2 and "STIR" in results._repr_html_()
    text = (run.study / "study.html").read_text(encoding="utf-8")
    assert "Failed or missing" in text and "out of memory" in text


def test_a_cell_without_any_prediction_leaves_the_others_their_numbers(tmp_path):
    run = make_study(tmp_path / "study")
    for file in run.cross_validation("STIR.3d").iterdir():
        file.unlink()
    for fold in range(2):
        run.finished("STIR.3d", fold).unlink()
    results = write_study(run, CELLS, failures={"STIR.3d": "fold 0: out of memory"}, workers=1)
    assert results.figure("STIR", "3d", "dice").mean is None
    assert [rank.cell.label for rank in results.orders[0].ranks] == ["all", "T1"]
    assert results.frame["dice"].dtype == np.float64


def test_without_any_prediction_there_is_no_study(tmp_path):
    run = make_study(tmp_path / "study", finished=0)
    with pytest.raises(RunFolderError, match="out of memory"):
        write_study(run, CELLS, failures={"T1.3d": "fold 0: out of memory"}, workers=1)


def test_a_cell_that_learned_from_other_folds_is_left_out(tmp_path):
    run = make_study(tmp_path / "study")
    finished = read_finished(run, "T1.3d", 0)
    train = tuple("spine_9" if case == "spine_3" else case for case in finished.train)
    write_finished(run, "T1.3d", 0, finished.changed(train=train))
    results = write_study(run, CELLS, failures={}, workers=1)
    (problem,) = results.problems
    assert problem.startswith("T1.3d: ") and "another split" in problem
    assert set(results.frame["cell"]) == {"STIR.3d", "all.3d"}


def test_a_study_on_synthetic_images_says_so(tmp_path):
    run = make_study(tmp_path / "study")
    write_record(run, read_record(run).changed(synthetic=True))
    assert write_study(run, CELLS, failures={}, workers=1).synthetic
    assert "Synthetic data." in (run.study / "study.html").read_text(encoding="utf-8")
