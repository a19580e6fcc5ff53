"""A part is done once each of its cases is predicted with what was asked for, whoever did it."""

import os

import pytest

from autoseg.dataset.case import Case
from autoseg.run_folder.predictions_folder import PredictionsFolder
from autoseg.work.prediction_request import write_prediction_request
from autoseg.work.prediction_units import evaluated_from, predicted_by, predicted_cases
from autoseg.work.state import States
from autoseg.work.units import follows_links, units_of
from inference.lasting_marks import Lasting
from inference.shared_output import sharing
from tests.autoseg.work.test_prediction_request import CASES, request


@pytest.fixture
def folder(tmp_path) -> PredictionsFolder:
    folder = PredictionsFolder(tmp_path / "out")
    write_prediction_request(folder, request(labels="/labels"))
    return folder


def predict(folder, names, made_from=None):
    """Stand-in for a prediction by a unit."""
    digest = made_from or request().made_from
    with sharing(folder.path, "job", lasting=Lasting(digest)) as shared:
        for case in (Case(name, ()) for name in names):
            shared.claim(case)
            (folder.path / f"{case.name}.seg.nrrd").touch()
            shared.finish(case)
        shared.publish()
    (folder.path / "measurements.csv").touch()


def words(folder) -> dict[str, str]:
    states = States(folder)
    return {unit.name: states.of(unit).word for unit in units_of(folder)}


def test_units_and_how_far_they_are(folder):
    parts, last = units_of(folder)[:2], units_of(folder)[2]
    assert [predicted_by(unit) for unit in parts] == [(0, 2), (1, 2)] and not follows_links(folder)
    assert [unit.needs.gpus for unit in units_of(folder)] == [1, 1, 0]
    assert last.kind == "evaluate" and last.waits_for == ("predict-0of2", "predict-1of2")
    assert words(folder) == {"predict-0of2": "ready", "predict-1of2": "ready", "evaluate": "waiting"}
    predict(folder, "ace")
    assert words(folder) == {"predict-0of2": "done", "predict-1of2": "ready", "evaluate": "waiting"}
    predict(folder, "bd")
    assert words(folder) == {"predict-0of2": "done", "predict-1of2": "done", "evaluate": "ready"}
    write_prediction_request(folder, request())
    assert list(words(folder)) == ["predict-0of2", "predict-1of2"]


def test_what_is_lost_or_of_other_models_is_not_done(folder):
    predict(folder, "abcde")
    (folder.path / "b.seg.nrrd").unlink()
    assert predicted_cases(folder, request()) == {"a", "c", "d", "e"}
    assert predicted_cases(folder, request(models="others")) == frozenset()
    predict(folder, "ab", made_from="0" * 32)
    assert predicted_cases(folder, request()) == frozenset()
    predict(folder, "abcde")
    assert predicted_cases(folder, request(cases=CASES[:1])) == {"a"}
    (folder.path / "measurements.csv").unlink()
    assert predicted_cases(folder, request()) == frozenset()


def test_a_file_of_a_name_that_another_one_begins_is_not_that_of_the_other(folder):
    of_both = request(cases=tuple(CASES[0].changed(name=name) for name in ("a", "a.b", "a.b.c")))
    predict(folder, ["a", "a.b", "a.b.c"])
    assert predicted_cases(folder, of_both) == {"a", "a.b", "a.b.c"}
    (folder.path / "a.seg.nrrd").unlink()
    (folder.path / "a.b.seg.nrrd").unlink()
    assert predicted_cases(folder, of_both) == {"a.b.c"}


def test_a_table_that_is_no_file_is_not_waited_for(folder):
    os.mkfifo(folder.path / "measurements.csv")
    assert evaluated_from(folder) is None
