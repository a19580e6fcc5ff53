"""Selection over a whole run: what is compared, what is chosen, what is written and refused."""

import json
import shutil

import numpy as np
import pytest
from scipy import ndimage

import autoseg
from autoseg.dataset.fingerprint import write_fingerprint
from autoseg.dataset.record import DatasetRecord
from autoseg.errors import InputError, PlanError, RunFolderError
from autoseg.plan.plan import read_plan, write_plan
from autoseg.run_folder.dataset_record import write_record
from autoseg.run_folder.finished_fold import read_finished, write_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.selection import ClassRule, Selection, read_selection, set_selection_aside
from autoseg.run_folder.splits import read_splits, write_splits
from autoseg.whole_image.out_of_fold import write_probabilities
from inference.evaluation.evaluate import report_run
from inference.measurements import held_out
from inference.selection.fit_post_processing import Fitted
from inference.selection.select import select_configurations
from inference.suspects.table import MOST_SUSPECTS, read_suspects
from tests.example_fingerprint import example_case_fingerprint, example_fingerprint
from tests.example_plan import with_configuration
from tests.inference.selectable import CASES, CROP, FOLDS, LABELS, make_selectable, probability_of, record_of, truth_of
from tests.words import on_one_line


@pytest.fixture(scope="module")
def made_once(tmp_path_factory) -> RunFolder:
    return make_selectable(tmp_path_factory.mktemp("selectable") / "run")


@pytest.fixture(scope="module")
def selection(made_once) -> Selection:
    return select_configurations(made_once, workers=1)


@pytest.fixture
def run(made_once, tmp_path) -> RunFolder:
    shutil.copytree(made_once.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def test_the_pair_of_independent_configurations_is_chosen(selection) -> None:
    assert selection.configurations == ("2d", "3d")
    assert selection.candidates[0].configurations == ("2d", "3d")
    assert {c.configurations for c in selection.candidates} == {("2d",), ("3d",), ("2d", "3d")}
    best, *singles = (c.mean_dice for c in selection.candidates)
    assert best > max(singles) + 0.02
    assert selection.cases == len(CASES)


def test_a_candidates_figure_is_the_mean_dice_of_its_label_maps(selection) -> None:
    """Of the configuration at the image's own spacing, without any of the project's code."""
    dice = []
    for case in range(len(CASES)):
        truth, predicted = truth_of(case).astype(bool), np.zeros((10, 40, 36), bool)
        predicted[CROP] = probability_of(case, "2d") > 0.5
        dice.append(2 * (truth & predicted).sum() / (truth.sum() + predicted.sum()))
    score = next(c for c in selection.candidates if c.configurations == ("2d",))
    # 8 bit turns voxels within half a level of 0.5
    assert score.mean_dice == pytest.approx(np.mean(dice), abs=2e-3)
    assert score.dice == {"lesion": score.mean_dice}


def test_post_processing_that_helps_is_chosen_and_judged_on_other_folds(selection) -> None:
    (rule,) = selection.post_processing
    assert rule.name == "lesion" and rule.minimal_diameter_mm >= 3
    assert not rule.largest_component, "most cases have two lesions"
    assert selection.post_processed.mean_dice > selection.plain.mean_dice + 0.01
    assert selection.plain.mean_dice == pytest.approx(selection.candidates[0].mean_dice, abs=1e-6)
    (plain,), (after,) = selection.plain.classes, selection.post_processed.classes
    # some of the two balls of a case touch
    lesions = sum(ndimage.label(truth_of(case), np.ones((3, 3, 3)))[1] for case in range(len(CASES)))
    assert plain.lesions == after.lesions == lesions and plain.cases == len(CASES)
    assert after.false_per_case < plain.false_per_case / 2
    steps = {step.step: step for step in selection.steps}
    assert set(steps) == {"largest component", "minimal size", "threshold"}
    for step in steps.values():
        assert step.applied == (step.gain > step.standard_error)
        assert step.gain == pytest.approx(step.after - step.before)


def test_the_choice_is_judged_on_cases_that_took_no_part_in_it(selection) -> None:
    held_out = selection.held_out_choice
    assert held_out.folds == FOLDS
    # the pair is best whichever fold is left out
    assert held_out.chosen == pytest.approx(selection.candidates[0].mean_dice)
    assert held_out.chosen >= held_out.best_single


def test_an_operating_point_for_lesions(made_once, selection) -> None:
    sensitive = select_configurations(made_once, operating_point="sensitivity=0.95", workers=1)
    assert sensitive.operating_point == "sensitivity=0.95"
    (performance,) = (sensitive.post_processed or sensitive.plain).classes
    assert performance.sensitivity >= 0.9
    f2 = select_configurations(made_once, operating_point="f2", workers=1)
    assert f2.post_processed.classes[0].f2 > f2.plain.classes[0].f2
    with pytest.raises(InputError, match="operating-point"):
        select_configurations(made_once, operating_point="best", workers=1)


def test_the_command_writes_what_the_person_can_read_and_edit(run, capsys, monkeypatch) -> None:
    measured: list[tuple[str, str]] = []
    monkeypatch.setattr(
        held_out, "write_held_out_agreement", lambda *of, **more: measured.append((of[2], more["device"]))
    )
    returned = autoseg.select(run.path, workers=1, agreement=True, device="cpu")
    assert measured == [("2d", "cpu"), ("3d", "cpu")]
    assert read_selection(run, read_plan(run.plan)) == returned
    text = run.selected.read_text(encoding="utf-8")
    assert not any(case in text for case in CASES), "it goes along with models that are given away"
    shown = on_one_line(capsys.readouterr().out)
    assert "2d + 3d" in shown and "selected.json" in shown and "8 cases" in shown
    document = json.loads(text)
    document["post_processing"] = [{"name": "lesion", "threshold": 0.25}]
    run.selected.write_text(json.dumps(document), encoding="utf-8")
    (rule,) = read_selection(run, read_plan(run.plan)).post_processing
    assert (rule.threshold, rule.minimal_diameter_mm) == (0.25, 0.0)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("configurations", ["4d"], "4d"),
        ("post_processing", [{"name": "kidney"}], "kidney"),
        ("post_processing", [{"name": "lesion", "threshold": 1.5}], r"post_processing\.0\.threshold"),
        ("postprocessing", [], "postprocessing"),
        ("configurations", ["3d", "3d"], "3d stands there twice"),
        ("post_processing", [{"name": "lesion"}, {"name": "lesion", "threshold": 0.3}], "lesion stands there twice"),
        ("froc", {"kidney": []}, "kidney"),
    ],
)
def test_a_wrong_edit_names_file_and_field(run, selection, field, value, named) -> None:
    document = json.loads(selection.model_dump_json()) | {field: value}
    run.selected.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(RunFolderError, match=rf"selected\.json: .*{named}.*autoseg select"):
        read_selection(run, read_plan(run.plan))


def test_only_configurations_trained_to_the_end_take_part_unless_named(tmp_path) -> None:
    run = make_selectable(tmp_path / "run", finished={"3d": 2})
    selection = select_configurations(run, workers=1)
    assert selection.configurations == ("2d",) and len(selection.candidates) == 1
    assert selection.notes == ("3d takes no part: 2 of 4 folds are finished",)
    named = select_configurations(run, configurations=("2d", "3d"), workers=1)
    assert named.cases == len(CASES) // FOLDS * 2 and len(named.candidates) == 3
    assert "4 of 8 cases are left out" in named.notes[0]


def test_one_fold_alone_allows_no_post_processing(tmp_path) -> None:
    run = make_selectable(tmp_path / "run", finished={"2d": 1, "3d": 1})
    selection = select_configurations(run, workers=1)
    assert selection.post_processing == () and selection.post_processed is None and selection.steps == ()
    assert selection.held_out_choice is None and "one fold alone" in selection.notes[0]


def test_a_model_that_has_learned_nothing_is_called_too_weak_to_choose_by(run, selection) -> None:
    for case in range(len(CASES)):
        # everywhere a quarter: no lesion is found
        nothing = np.full(probability_of(case, "2d").shape, 0.25)
        write_probabilities(run.probabilities("2d"), record_of(case, "2d"), np.stack([1 - nothing, nothing]))
    weak = select_configurations(run, configurations=("2d",), workers=1)
    assert "mean Dice 0.000: too weak" in weak.notes[-1]
    assert selection.notes == ()


def test_what_cannot_be_compared_says_what_to_do(run, tmp_path) -> None:
    with pytest.raises(PlanError, match="'4d' is not planned"):
        select_configurations(run, configurations=("4d",), workers=1)
    file = run.probabilities("3d") / "case_2.b2nd"
    file.unlink()
    with pytest.raises(RunFolderError, match=r"case_2\.b2nd: is missing; delete .*fold_2.*autoseg train"):
        select_configurations(run, workers=1)
    empty = make_selectable(tmp_path / "empty", finished={"2d": 0, "3d": 0})
    with pytest.raises(RunFolderError, match="autoseg train"):
        select_configurations(empty, workers=1)


def test_folds_trained_with_another_split_are_refused(run) -> None:
    write_splits(run.splits, read_splits(run.splits)[::-1])
    with pytest.raises(RunFolderError, match="another split"):
        select_configurations(run, workers=1)


def test_a_case_that_a_configuration_does_not_take_is_left_out_of_the_comparison(run) -> None:
    """As a case without any of the sequences that the configuration sees."""
    for file in (run.probabilities("3d") / "case_5.b2nd", run.cross_validation("3d") / "case_5.nii.gz"):
        file.unlink()
    selection = select_configurations(run, workers=1)
    assert selection.cases == len(CASES) - 1
    assert "1 of 8 cases are left out" in selection.notes[0]


def test_a_configuration_that_reads_anothers_cases_finds_their_references(run) -> None:
    plan = read_plan(run.plan)
    spacing = plan.configurations["3d"].spacing
    changed = with_configuration(plan, "2d", preprocessed_as="3d", spacing=spacing)
    write_plan(run.plan, changed, {})
    shutil.rmtree(run.preprocessed("2d"))
    assert select_configurations(run, configurations=("2d",), workers=1).cases == len(CASES)


def test_a_case_without_a_seen_sequence_is_left_out_and_its_fold_is_not_another(run) -> None:
    plan = read_plan(run.plan)
    write_plan(run.plan, with_configuration(plan, "2d", sequences=("T1",)), {})
    lacking = CASES[0]
    for number, case in enumerate(CASES):
        record = record_of(number, "2d").changed(present=(case != lacking, True))
        (run.case("2d", case) / "case.json").write_text(record.model_dump_json(), encoding="utf-8")
    for fold in range(FOLDS):
        done = read_finished(run, "2d", fold)
        assert done is not None
        train = tuple(case for case in done.train if case != lacking)
        write_finished(run, "2d", fold, done.changed(train=train))
    assert select_configurations(run, workers=1).cases == len(CASES) - 1


def write_facts(run: RunFolder) -> None:
    """What a copy of the models takes along."""
    record = DatasetRecord(
        name="a", layout="table", channels=("T1", "STIR"), ct=(False,) * 2, labels=LABELS, file_ending="", cases=()
    )
    write_record(run, record)
    case = example_case_fingerprint("case_0", shape=(10, 40, 36), present=(True, True))
    measured = example_fingerprint([case], channels=("T1", "STIR"), labels=LABELS)
    write_fingerprint(run.fingerprint, measured)


def test_models_that_are_given_away_take_the_selection_along(run, tmp_path) -> None:
    write_facts(run)
    autoseg.select(run.path, workers=1)
    autoseg.copy(run.path, tmp_path / "models", models_only=True)
    copied = RunFolder(tmp_path / "models")
    assert copied.selected.read_bytes() == run.selected.read_bytes()
    assert not (copied.path / "cross_validation").exists()


def test_the_report_says_what_was_selected(run) -> None:
    report_run(run, "2d", workers=1)
    page = run.report / "report.html"
    assert "Selected for prediction" not in page.read_text(encoding="utf-8")
    selection = autoseg.select(run.path, workers=1)
    text = page.read_text(encoding="utf-8")
    assert "Selected for prediction" in text and "2d + 3d" in text
    assert selection.post_processing[0].text() in text


@pytest.fixture
def of_lesions(run) -> RunFolder:
    """The run with the class as a lesion in its plan."""
    write_plan(run.plan, read_plan(run.plan).changed(lesions=("lesion",)), {})
    return run


def test_a_plan_with_lesions_is_selected_by_f2(of_lesions) -> None:
    selection = select_configurations(of_lesions, workers=1)
    assert selection.operating_point == "f2" and "lesion" in selection.why_this_point
    # post-processing leaves no false lesion, so nothing tells what a score should be
    assert selection.lesion_scores == () and any("too few to fit a score by" in note for note in selection.notes)


def test_predicted_lesions_get_scores_and_false_ones_are_suspects(of_lesions, monkeypatch, capsys) -> None:
    monkeypatch.setattr("inference.selection.select.fit_class", lambda name, *_: Fitted(ClassRule(name=name), {}, ()))
    selection = autoseg.select(of_lesions.path, workers=1)
    (scores,), (found,) = selection.lesion_scores, selection.plain.classes
    false = round(found.false_per_case * len(CASES))
    assert scores.lesions - scores.real == false > 100 and scores.configurations == selection.configurations
    assert sum(one.n for one in scores.reliability) == scores.lesions
    # the last point of the curve is all that is predicted
    assert scores.froc[-1].sensitivity == pytest.approx(found.sensitivity)
    assert scores.froc[-1].false_per_case == pytest.approx(found.false_per_case)
    plain = next(p for p in selection.froc["lesion"] if p.false_per_case == pytest.approx(found.false_per_case))
    assert plain.sensitivity == pytest.approx(found.sensitivity)
    assert len(read_suspects(of_lesions)) == MOST_SUSPECTS
    assert "suspects.csv" in on_one_line(capsys.readouterr().out)
    assert set_selection_aside(of_lesions, "2d") and not of_lesions.suspects.exists()


def test_what_is_asked_for_and_out_of_reach_is_told(of_lesions) -> None:
    selection = select_configurations(of_lesions, operating_point="risk=0.1", workers=1)
    assert any("8 cases cannot show less than 11.1%" in note for note in selection.notes)
    assert selection.post_processing == () and selection.why_this_point == ""
