import shutil
import sys

import pytest

import autoseg
from autoseg.errors import RunFolderError
from autoseg.image import image
from autoseg.plan.plan import read_plan
from autoseg.run_folder.selection import Selection, read_selection
from autoseg.run_folder.time_spent import read_time_spent
from autoseg.work.request import read_request
from tests.words import on_one_line


def test_run_does_everything_and_then_nothing_again(calls, dataset, run):
    results = autoseg.run(dataset, run.path, device="cpu", workers=1)
    assert list(results.reports) == ["3d"] and results.run == run
    assert [(name, fold) for name, fold, _ in calls.trained] == [("3d", fold) for fold in range(5)]
    assert calls.reported == ["3d"]
    assert calls.trained[0][2]["device"] == "cpu"
    assert {f"train 3d fold {fold}" for fold in range(5)} <= set(read_time_spent(run).seconds)
    autoseg.run(dataset, run.path, workers=1)
    assert len(calls.trained) == 5


def test_run_trains_only_the_folds_that_are_left(calls, dataset, run):
    autoseg.train(run.path, fold=3)
    autoseg.run(dataset, run.path, workers=1)
    assert [fold for _, fold, _ in calls.trained] == [3, 0, 1, 2, 4]


def test_run_never_touches_the_test_images(calls, dataset, run, monkeypatch):
    opened = []
    real = image._own_reader

    def read(path, **how):
        opened.append(str(path))
        return real(path, **how)

    monkeypatch.setattr(image, "_own_reader", read)
    shutil.rmtree(run.path)
    autoseg.run(dataset, run.path, device="cpu", workers=1)
    assert any("imagesTr" in path for path in opened)
    assert not any("imagesTs" in path or "labelsTs" in path for path in opened)


@pytest.fixture
def selected(monkeypatch, calls):
    """Configurations that a selection was made of, each with the number of reports that were written before."""
    made = []

    def choose(run, *, configurations, operating_point, workers, threads):
        made.append((tuple(configurations), len(calls.reported)))
        return Selection(configurations=("3d",), why_this_point="as the test wants it"), []

    monkeypatch.setattr("inference.selection.select.select_and_suspect", choose)
    return made


def test_run_selects_once_before_it_reports(selected, dataset, run, capsys):
    autoseg.run(dataset, run.path, device="cpu", workers=1)
    assert selected == [(("3d",), 0)]
    assert read_selection(run, read_plan(run.plan)).why_this_point in on_one_line(capsys.readouterr().out)
    # what a person may have edited since then is kept
    autoseg.run(dataset, run.path, workers=1)
    assert len(selected) == 1 and "kept as it is" in on_one_line(capsys.readouterr().out)


def test_run_leaves_the_selection_where_it_is_told_so(selected, dataset, run):
    autoseg.run(dataset, run.path, device="cpu", workers=1, no_select=True)
    assert not selected and not run.selected.exists()


@pytest.mark.parametrize(
    ("error", "told"), [(RunFolderError("no probabilities"), "no probabilities"), (OSError(), "defect")]
)
def test_a_selection_that_fails_costs_no_report(calls, dataset, run, monkeypatch, capsys, error, told):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr("inference.selection.select.select_and_suspect", fails)
    autoseg.run(dataset, run.path, device="cpu", workers=1)
    assert calls.reported == ["3d"] and not run.selected.exists()
    assert told in on_one_line(capsys.readouterr().out)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, names of files are text")
def test_a_data_set_whose_path_is_no_text_can_be_run(calls, dataset, run, tmp_path):
    odd = shutil.copytree(dataset, tmp_path / "\udcff")
    autoseg.run(odd, run.path, workers=1)
    request = read_request(run)
    assert request is not None and request.dataset is None
