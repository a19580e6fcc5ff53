"""Selection where nobody looked for a class in some cases: they take no part in what is chosen and fitted for it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autoseg.disk.checksums import write_checksums
from autoseg.image.image import Image, write_image
from autoseg.image.labels import Labels
from autoseg.plan.plan import read_plan
from autoseg.run_folder.preprocessed_case import read_record
from autoseg.run_folder.selection import ClassRule, rules_by_class
from autoseg.whole_image.out_of_fold import write_probabilities
from inference.evaluation.cross_validated import cross_validated
from inference.evaluation.evaluate import report_run
from inference.selection.candidate_scores import CaseFiles, count_case, dice_table, mean_over_classes
from inference.selection.fit_post_processing import Aim, OutcomeTable, fit_class
from inference.selection.judge import judge_case, performance_of
from inference.selection.post_processing_outcomes import GRID, PLAIN, outcomes_of_case
from inference.selection.select import _fitted, _reached
from tests.autoseg.whole_image.probabilities import random_probabilities
from tests.example_record import example_geometry, example_record
from tests.inference.run_fixture import make_run

LABELS = Labels(values=(0, 3, 8), names=("background", "body", "lesion"))
STORED = example_geometry((9, 32, 40), (3.0, 1.0, 1.0))


@pytest.fixture
def files(tmp_path: Path) -> CaseFiles:
    """A case in which nobody looked for lesions."""
    write_probabilities(tmp_path / "3d", example_record(STORED, case="a"), random_probabilities(STORED.shape, seed=1))
    truth = np.roll(random_probabilities(STORED.shape, seed=1).argmax(0), 1, axis=1)
    body = np.where(truth == 1, 3, 0).astype(np.uint8)
    write_image(tmp_path / "reference.nii.gz", Image(body[None], STORED))
    return CaseFiles("a", tmp_path / "reference.nii.gz", {"3d": tmp_path / "3d"}, annotated=("body",))


def test_nothing_is_counted_of_a_class_that_nobody_looked_for(files: CaseFiles) -> None:
    all_looked_for = replace(files, annotated="all")
    (counts,), (others,) = (count_case(one, [("3d",)], LABELS) for one in (files, all_looked_for))
    assert counts[0] == others[0] and others[1].fp > 100
    dice = dice_table([[counts], [others]])[0]
    assert np.isnan(dice[0, 1]) and dice[1, 1] == 0
    assert mean_over_classes(dice[:1]) == pytest.approx(counts[0].dice)

    body, lesion = outcomes_of_case(files, ("3d",), LABELS)
    assert lesion is None and body.dice[PLAIN] == pytest.approx(counts[0].dice, abs=2e-3)

    rules = rules_by_class((), LABELS)
    judged = judge_case((files, rules), ("3d",), LABELS, lesions=("lesion",))
    assert [row.class_name for row in judged.rows] == ["body"] and judged.lesions == {}
    whole = judge_case((all_looked_for, rules), ("3d",), LABELS, lesions=("lesion",))
    # else every predicted lesion would be false
    assert all(not lesion.touches for lesion in whole.lesions["lesion"][1]) and whole.lesions["lesion"][1]
    both = {one.name: one for one in performance_of([judged, whole]).classes}
    assert both["lesion"].cases == 1 and both["body"].cases == 2
    assert both["lesion"].false_per_case == whole.rows[1].lesions.false


def table(dice: list[float]) -> OutcomeTable:
    """Outcomes of cases whose Dice is better with the largest component alone."""
    values = np.zeros((len(dice), *GRID)) + np.array(dice)[:, None, None, None]
    values[:, :, 1] += 0.1
    ones = np.ones(values.shape, np.int64)
    return OutcomeTable(values, ones, ones, 0 * ones, np.ones(len(dice), np.int64))


def test_post_processing_is_fitted_to_the_cases_that_tell_of_a_class() -> None:
    folds, there = np.array([0, 0, 1, 1, 2]), np.array([True, False, True, True, False])
    known = table([0.5, 0.6, 0.55])
    found = _fitted("lesion", known, folds, there, Aim("dice"))
    expected = fit_class("lesion", known, folds[there], Aim("dice"))
    assert found.rule == expected.rule and found.rule.largest_component and found.steps == expected.steps
    # no case of fold 2 took part in the fit to all cases
    assert found.by_fold == expected.by_fold | {2: expected.rule} and set(found.by_fold) == {0, 1, 2}


def test_where_one_fold_alone_tells_of_a_class_nothing_is_fitted() -> None:
    folds = np.array([0, 0, 1])
    for there in ([True, True, False], [False, False, False]):
        one = OutcomeTable.of([]) if not any(there) else table([0.5, 0.6])
        found = _fitted("lesion", one, folds, np.array(there), Aim("dice"))
        plain = ClassRule(name="lesion")
        assert found.rule == plain and found.by_fold == {0: plain, 1: plain} and found.steps == ()


def test_a_report_says_what_was_not_annotated(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    plan = read_plan(run.plan)
    pairs = cross_validated(run, plan, "3d").pairs
    assert {pair.annotated for pair in pairs} == {"all"}
    whole = report_run(run, "3d", workers=1)
    name, case = plan.labels.foreground[1], pairs[0].case
    folder = run.case("3d", case)
    changed = read_record(folder).changed(annotated=(plan.labels.foreground[0],))
    (folder / "case.json").write_text(changed.model_dump_json(), encoding="utf-8")
    write_checksums(folder, ("image.b2nd", "label.b2nd", "foreground.safetensors", "case.json"))
    partly = report_run(run, "3d", workers=1)
    before, after = whole.classes[1], partly.classes[1]
    assert after.name == before.name == name
    assert (after.cases, after.not_annotated) == (before.cases - 1, 1) and partly.classes[0] == whole.classes[0]
    assert partly.rules[-1].startswith("A class that is not annotated in a case")
    page = (run.report / "report.html").read_text(encoding="utf-8")
    assert f"Not annotated, and in no number: {name} in 1 of {before.cases} cases." in page
    assert f"{case},{name},0,,,," in (run.report / "metrics.csv").read_text(encoding="utf-8")


def test_nothing_is_told_of_a_figure_that_was_asked_for_of_a_class_that_nobody_looked_for() -> None:
    assert _reached(["lesion"], [table([])], [Aim("sensitivity", least=0.9)]) == ()
