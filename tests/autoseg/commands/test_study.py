"""The study as a pipeline: what is planned, preprocessed, trained, gone on with and reported; stages stand in."""

import sys
from types import SimpleNamespace

import pytest

import autoseg
from autoseg.errors import InputError, PartialFailure, RunFolderError
from autoseg.image.image import Image, write_image
from autoseg.plan.plan import read_plan
from autoseg.run_folder.finished_fold import read_finished, write_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from autoseg.run_folder.time_spent import read_time_spent
from tests.autoseg.commands.stand_ins import install
from tests.autoseg.dataset import build
from tests.autoseg.small_dataset import draw_case, geometry
from tests.words import on_one_line
from trainer.stop_request import TrainingStopped

CELLS = ["T1.2d", "T1.3d", "T2.2d", "T2.3d"]
ASKED = {"sequences": ["T1", "T2"], "dimensions": ["2d", "3d"], "time_budget": "3h", "device": "cpu", "workers": 1}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Six cases, the first without T2."""
    folder, rows = tmp_path_factory.mktemp("data") / "balls", []
    for i in range(6):
        image, label = draw_case(i)
        row = {"case": f"ball_{i}", "T1": f"{i}_t1.nii.gz", "T2": f"{i}_t2.nii.gz" if i else "", "label": f"{i}.nii.gz"}
        for name, array in (("T1", image), ("T2", 300 - image), ("label", label)):
            if row[name]:
                write_image(folder / row[name], Image(array[None], geometry()))
        rows.append(row)
    build.write_table(folder, rows)
    return folder


@pytest.fixture
def calls(monkeypatch):
    calls = install(monkeypatch)
    calls.written = []

    def write_study(run, cells, *, failures, workers, threads):
        calls.written.append(([cell.name for cell in cells], dict(failures)))
        return SimpleNamespace(problems=tuple(f"{name}: {why}" for name, why in failures.items()))

    monkeypatch.setitem(sys.modules, "inference.study.write", SimpleNamespace(write_study=write_study))
    monkeypatch.setattr("autoseg.commands.study.print_study", lambda *arguments: None)
    return calls


def failing(monkeypatch, cell, error):
    """Let the training of a cell's second fold fail."""
    real = sys.modules["trainer.fold"].train_fold

    def train_fold(run, configuration, fold, **options):
        if (configuration, fold) == (cell, 1):
            raise error
        real(run, configuration, fold, **options)

    monkeypatch.setattr(sys.modules["trainer.fold"], "train_fold", train_fold)


def trained(calls):
    return [(name, fold) for name, fold, _ in calls.trained]


def test_every_cell_is_trained_on_cases_that_are_preprocessed_once(calls, dataset, tmp_path):
    assert autoseg.study(dataset, tmp_path / "study", **ASKED).problems == ()
    run = RunFolder(tmp_path / "study")
    assert sorted(p.name for p in (run.path / "preprocessed").iterdir() if p.is_dir()) == ["2d", "3d"]
    assert trained(calls) == [(cell, fold) for cell in CELLS for fold in range(5)]
    assert calls.written == [(CELLS, {})]
    assert calls.fitted[0]["configurations"] == ("2d", "3d", "2d", "3d"), "a share of the time for every cell"
    plan = read_plan(run.plan)
    assert plan.configurations["T2.3d"].sequences == ("T2",)
    assert plan.configurations["T2.3d"].preprocessed_as == "3d"
    stages = read_time_spent(run).seconds
    assert {"preprocess 2d", "preprocess 3d", "train T1.2d fold 0", "study report"} <= set(stages)


def test_a_case_without_the_sequence_takes_no_part(calls, dataset, tmp_path):
    autoseg.study(dataset, tmp_path / "study", **ASKED)
    run = RunFolder(tmp_path / "study")
    fold = next(i for i, split in enumerate(read_splits(run.splits)) if "ball_0" in split.train)
    assert "ball_0" in read_finished(run, "T1.2d", fold).train
    assert "ball_0" not in read_finished(run, "T2.2d", fold).train


def test_it_goes_on_by_cell_and_fold(calls, dataset, tmp_path):
    autoseg.study(dataset, tmp_path / "study", **ASKED)
    run = RunFolder(tmp_path / "study")
    run.finished("T2.2d", 3).unlink()
    calls.trained.clear()
    autoseg.study(dataset, tmp_path / "study", **ASKED)
    assert trained(calls) == [("T2.2d", 3)]
    assert len(calls.fitted) == 1 and len(calls.written) == 2


def test_a_part_of_the_grid_may_be_gone_on_with_and_all_of_it_is_shown(calls, dataset, tmp_path):
    autoseg.study(dataset, tmp_path / "study", **ASKED)
    run = RunFolder(tmp_path / "study")
    for cell in ("T1.2d", "T2.2d"):
        run.finished(cell, 0).unlink()
    calls.trained.clear()
    autoseg.study(dataset, run.path, **(ASKED | {"sequences": ["T2"]}))
    assert trained(calls) == [("T2.2d", 0)]
    assert calls.written[-1] == (CELLS, {})


@pytest.mark.parametrize("error", [RunFolderError("no such case"), RuntimeError("out of memory")])
def test_a_cell_that_fails_is_reported_and_the_others_go_on(calls, dataset, tmp_path, monkeypatch, error, capsys):
    with monkeypatch.context() as patch:
        failing(patch, "T1.3d", error)
        with pytest.raises(PartialFailure, match=rf"T1\.3d: fold 1: {error}"):
            autoseg.study(dataset, tmp_path / "study", **ASKED)
    assert [pair for pair in trained(calls) if pair[0] == "T1.3d"] == [("T1.3d", 0)]
    assert len(calls.trained) == 16
    assert calls.written == [(CELLS, {"T1.3d": f"fold 1: {error}"})]
    assert "The other cells go on" in on_one_line(capsys.readouterr().out)
    calls.trained.clear()
    autoseg.study(dataset, tmp_path / "study", **ASKED)
    assert trained(calls) == [("T1.3d", fold) for fold in range(1, 5)]


@pytest.mark.parametrize("error", [TrainingStopped("stopped", 2), OSError(28, "no space left on device")])
def test_a_stop_or_a_full_disk_ends_the_study(calls, dataset, tmp_path, monkeypatch, error):
    failing(monkeypatch, "T1.2d", error)
    with pytest.raises(type(error)):
        autoseg.study(dataset, tmp_path / "study", **ASKED)
    assert trained(calls) == [("T1.2d", 0)] and calls.written == []


def test_a_fold_trained_with_another_split_fails_its_cell_alone(calls, dataset, tmp_path):
    autoseg.study(dataset, tmp_path / "study", **ASKED)
    run = RunFolder(tmp_path / "study")
    finished = read_finished(run, "T2.3d", 0)
    write_finished(run, "T2.3d", 0, finished.changed(train=("ball_9", *finished.train[1:])))
    with pytest.raises(PartialFailure, match=r"T2\.3d: .*another split"):
        autoseg.study(dataset, tmp_path / "study", **ASKED)


def test_what_the_data_set_does_not_have_is_refused_before_anything_is_planned(calls, dataset, tmp_path):
    with pytest.raises(InputError, match="FLAIR"):
        autoseg.study(dataset, tmp_path / "study", **(ASKED | {"sequences": ["T1+FLAIR"]}))
    assert calls.fitted == []


def test_more_cells_or_other_folds_than_planned_are_refused(calls, dataset, tmp_path):
    autoseg.study(dataset, tmp_path / "study", **ASKED)
    with pytest.raises(RunFolderError, match=r"T1\+T2\.2d.*new RUN folder"):
        autoseg.study(dataset, tmp_path / "study", **(ASKED | {"sequences": ["T1+T2"]}))
    with pytest.raises(RunFolderError, match="5 folds, not 3"):
        autoseg.study(dataset, tmp_path / "study", **ASKED, folds=3)
    autoseg.study(dataset, tmp_path / "study", **ASKED, folds=5)


def test_folds_are_as_many_as_asked_for(calls, dataset, tmp_path):
    autoseg.study(dataset, tmp_path / "study", **ASKED, folds=2)
    assert len(read_splits(RunFolder(tmp_path / "study").splits)) == 2
    assert len(calls.trained) == 8


def test_a_cell_is_trained_and_reported_like_any_configuration(calls, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("autoseg.commands.train.require_preprocessed", lambda *arguments: None)
    autoseg.study(dataset, tmp_path / "study", **ASKED)
    autoseg.train(tmp_path / "study", config="T1.2d")
    assert calls.reported == ["T1.2d"]
