"""What the commands return in Python, and that the command line prints none of it."""

import numpy as np
import pytest

import autoseg
from autoseg.commands import cli
from autoseg.plan.plan import read_plan
from autoseg.results import IncompletePrediction, Predictions, RunResults, TrainedFold, TrainingResults, WrittenFile
from autoseg.run_folder.finished_fold import read_finished
from autoseg.run_folder.selection import CandidateScore, Selection, write_selection
from inference.evaluation.evaluate import report_run
from tests.autoseg.dataset import build
from tests.inference.run_fixture import make_run
from tests.tiny_models import SHAPE, make_models
from tests.words import on_one_line

HOSTILE = "<b>lytic</b>"


def test_predict_returns_the_files_that_it_wrote(tmp_path, capsys):
    run = make_models(tmp_path / "RUN", folds=1).path
    for name in "ab":
        build.write(tmp_path / "in" / f"{name}.nii.gz", build.voxels(ord(name), SHAPE), spacing=(1, 1, 4))
    made = autoseg.predict(run, [tmp_path / "in"], tmp_path / "out", device="cpu", threads=1, save_probabilities=True)
    assert sorted(made.files) == sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert made.label_maps == {name: tmp_path / "out" / f"{name}.nii.gz" for name in "ab"}
    frame = made.to_frame()
    assert list(frame.columns) == ["case", "kind", "file"] and len(frame) == 11
    of_folder = {"names and colours", "measurements"}
    assert set(frame["kind"]) == {"label map", *of_folder, *(f"probability of label {value}" for value in (0, 3, 700))}
    assert str(tmp_path / "out" / "b.nii.gz") in made._repr_html_() and "2 predicted in" in made._repr_html_()
    capsys.readouterr()
    arguments = ["predict", str(run), "-i", str(tmp_path / "in"), "-o", str(tmp_path / "again"), "--device", "cpu"]
    assert cli.status_of(arguments) == 0
    assert "Predictions" not in capsys.readouterr().out


def test_what_could_be_predicted_is_listed_also_where_it_is_compared(tmp_path, capsys):
    run = make_models(tmp_path / "RUN", folds=1).path
    for name in "ab":
        build.write(tmp_path / "in" / f"{name}.nii.gz", build.voxels(ord(name), SHAPE), spacing=(1, 1, 4))
    options = {"device": "cpu", "threads": 1}
    autoseg.predict(run, [tmp_path / "in"], tmp_path / "references", **options)
    build.write(tmp_path / "in" / "b.nii.gz", np.full(SHAPE, 7.0), spacing=(1, 1, 4))
    with pytest.raises(IncompletePrediction, match="1 of 2 could not be predicted") as failure:
        autoseg.predict(run, [tmp_path / "in"], tmp_path / "out", evaluate=tmp_path / "references", **options)
    assert list(failure.value.predictions.label_maps) == ["a"]
    assert "case b: has no prediction" in on_one_line(capsys.readouterr().err)


def test_the_list_of_lesions_is_among_the_files(tmp_path):
    run = make_models(tmp_path / "RUN", folds=1)
    plan = read_plan(run.plan)
    run.plan.write_text(run.plan.read_text(encoding="utf-8").replace("lesions: []", "lesions: [lesion]"), "utf-8")
    assert read_plan(run.plan) == plan.changed(lesions=("lesion",))
    image = build.write(tmp_path / "a.nii.gz", build.voxels(1, SHAPE), spacing=(1, 1, 4))
    made = autoseg.predict(run.path, [image], tmp_path / "out", device="cpu", threads=1)
    assert {tmp_path / "out" / "a.nii.gz", tmp_path / "out" / "predicted_lesions.csv"} <= set(made.files)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("run") / "run")
    return run, report_run(run, "3d", workers=1)


def test_a_run_is_a_table_of_its_configurations_and_classes(evaluated):
    run, summary = evaluated
    results = RunResults(run, {"3d": summary})
    frame = results.to_frame()
    assert frame[["configuration", "class"]].values.tolist() == [["3d", "body"], ["3d", "lesion"]]
    assert frame["dice"].tolist() == [row.metrics["dice"].mean for row in summary.classes]
    assert results.selection is None
    write_selection(run, chosen := Selection(configurations=("3d",)))
    assert results.selection == chosen
    assert RunResults(run, {}).to_frame().empty and "<table" in results._repr_html_()


def test_training_is_a_table_of_its_folds(evaluated):
    run, _ = evaluated
    folds = tuple(TrainedFold("3d", fold, read_finished(run, "3d", fold)) for fold in range(2))
    frame = TrainingResults(run, folds, {}).to_frame()
    assert list(frame.columns) == ["configuration", "fold", "cases", "steps", "seconds", "dice body", "dice lesion"]
    assert frame["dice body"].tolist() == [0.5, 0.5] and frame["dice lesion"].isna().all()
    assert frame[["fold", "steps", "seconds"]].values.tolist() == [[0, 100, 75], [1, 100, 75]]
    assert "2 finished folds" in TrainingResults(run, folds, {})._repr_html_()


def test_a_selection_is_a_table_of_its_candidates():
    scores = (
        CandidateScore(configurations=("2d", "3d"), mean_dice=0.9, dice={HOSTILE: 0.9}, gain=0.1, standard_error=0.01),
        CandidateScore(configurations=("2d",), mean_dice=0.8, dice={HOSTILE: None}),
    )
    selection = Selection(configurations=("2d", "3d"), candidates=scores, cases=7)
    frame = selection.to_frame()
    assert frame["candidate"].tolist() == ["2d + 3d", "2d"] and frame["selected"].tolist() == [True, False]
    assert frame[f"dice {HOSTILE}"].tolist()[0] == 0.9 and frame["gain"].isna().tolist() == [False, True]
    html = selection._repr_html_()
    assert "<b>" not in html and "7 cases: 2d + 3d, post-processing none" in html


def test_hostile_file_names_are_text(tmp_path):
    made = Predictions(tmp_path, (WrittenFile(HOSTILE, "label map", tmp_path / HOSTILE),))
    assert "<b>" not in made._repr_html_() and "&lt;b&gt;lytic" in made._repr_html_()
