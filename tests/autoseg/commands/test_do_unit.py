"""One unit after the other makes the run that `autoseg run` makes; a unit that is done is not done again."""

import os
import signal
import threading

import pytest

import autoseg
from autoseg.commands import cli, do_unit, preparation
from autoseg.commands.do_unit import UnitWaits
from autoseg.errors import InputError, NotEnoughMemory, RunFolderError
from autoseg.files import write_text
from autoseg.plan.plan import read_plan
from autoseg.run_folder.lock import locked
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from autoseg.work.request import Request, write_request
from autoseg.work.state import States, state_of
from autoseg.work.tries import read_tries
from autoseg.work.units import unit_named, units_of
from tests.stopped_in_c import translate
from tests.words import on_one_line


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Nobody waits for a slow file system."""
    monkeypatch.setattr(do_unit, "SECONDS_FOR_OTHERS", 0.0)
    monkeypatch.setattr(do_unit, "SECONDS_BETWEEN_LOOKS", 0.02)


@pytest.fixture
def asked(dataset, tmp_path) -> RunFolder:
    """A RUN folder that holds nothing but what was asked for."""
    run = RunFolder(tmp_path / "asked")
    options = {"configurations": ("3d",), "folds": 5, "parts": 2, "at_once": 5, "workers": 1, "device": "cpu"}
    write_request(run, Request(dataset=str(dataset), **options))
    return run


def words(run) -> dict[str, str]:
    states = States(run)
    return {unit.name: states.of(unit).word for unit in units_of(run)}


def test_all_units_in_turn_are_a_run(calls, asked, dataset, tmp_path):
    for unit in units_of(asked):
        # the first part prepares all cases, since no other process is at them
        assert words(asked)[unit.name] == ("done" if unit.name == "prepare-3d-1of2" else "ready")
        assert cli.status_of(["work", str(asked.path), unit.name]) == 0
    whole = RunFolder(tmp_path / "whole")
    trained = len(calls.trained)
    autoseg.run(dataset, whole.path, device="cpu", workers=1)
    assert read_splits(asked.splits) == read_splits(whole.splits)
    assert trained == 5 and [fold for _, fold, _ in calls.trained] == 2 * [0, 1, 2, 3, 4]
    assert calls.reported == ["3d", "3d"]
    plans = [read_plan(run.plan).changed(devices=1) for run in (asked, whole)]
    assert plans[0] == plans[1]
    cases = [
        {path.name: sorted(file.name for file in path.iterdir()) for path in run.preprocessed("3d").iterdir()}
        for run in (asked, whole)
    ]
    assert cases[0] == cases[1] and len(cases[0]) == 5
    for run in (asked, whole):
        # a stand-in for the report was called
        write_text(run.report / "report.html", "")
    assert words(asked)["report-3d"] == words(whole)["report-3d"] == "done"
    # a fold is trained once more: the report is of the former one
    for run in (asked, whole):
        finished = run.finished("3d", 2)
        finished.write_text(finished.read_text(encoding="utf-8") + " ", encoding="utf-8")
        assert words(run)["report-3d"] == "ready"
    do_unit.do_unit(asked, "report-3d")
    assert calls.reported == ["3d", "3d", "3d"] and words(asked)["report-3d"] == "done"


def test_a_unit_that_is_done_is_left_as_it_is(calls, run):
    for _ in range(2):
        do_unit.do_unit(run, "train-3d-fold_3")
    assert len(calls.trained) == 1 and read_tries(run, "train-3d-fold_3").count == 1


def test_a_unit_waits_for_those_before(calls, asked, capsys):
    with pytest.raises(UnitWaits, match="waits for prepare-3d-0of2, prepare-3d-1of2; `autoseg work"):
        do_unit.do_unit(asked, "train-3d-fold_0")
    assert cli.status_of(["work", str(asked.path), "train-3d-fold_0"]) == 1
    assert not calls.trained
    with pytest.raises(InputError, match="no such unit"):
        do_unit.do_unit(asked, "train-3d-fold_9")


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (KeyboardInterrupt(), 75, "ready"),
        (NotEnoughMemory("too little"), 1, "failed"),
        (InputError("no"), 2, "failed"),
        (InputError("/data/\udcff: no"), 2, "failed"),
    ],
    ids=["stopped", "memory", "mend", "no text"],
)
def test_the_exit_status_says_whether_another_try_helps(calls, run, monkeypatch, error, status, word):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr("autoseg.commands.train.train_unless_finished", fails)
    assert cli.status_of(["work", str(run.path), "train-3d-fold_0", "--log", "job.log"]) == status
    state = state_of(run, unit_named(units_of(run), "train-3d-fold_0"))
    assert (state.word, state.tries, state.log) == (word, 1, "job.log")
    assert state.why == (str(error).replace("\udcff", "?") if word == "failed" else "")


def test_a_stop_that_a_library_made_an_error_of_is_a_clean_stop(calls, run, monkeypatch, capfd):
    monkeypatch.setattr("autoseg.commands.train.train_unless_finished", lambda *_, **__: translate(signal.SIGTERM))
    assert cli.status_of(["work", str(run.path), "train-3d-fold_0"]) == 75
    assert state_of(run, unit_named(units_of(run), "train-3d-fold_0")).word == "ready"
    assert "Stopped. What is finished is kept" in on_one_line(capfd.readouterr().err)


def test_a_second_process_waits_for_the_first_and_does_nothing_again(calls, run, capfd):
    with locked(run.work / "train-3d-fold_0", "doing it"):
        assert words(run)["train-3d-fold_0"] == "running"
        second = threading.Thread(target=do_unit.do_unit, args=(run, "train-3d-fold_0"))
        second.start()
        while "waits for that process" not in (told := on_one_line(capfd.readouterr().err)):
            pass
        assert f"process {os.getpid()} on" in told
        autoseg.train(run.path, fold=0)
    second.join(timeout=300)
    assert not second.is_alive() and len(calls.trained) == 1


def test_who_trains_by_hand_is_waited_for_too(calls, run):
    unit = unit_named(units_of(run), "train-3d-fold_0")
    with locked(run.fold("3d", 0), "training fold 0"):
        state = state_of(run, unit)
        assert state.word == "running" and state.where.startswith(f"process {os.getpid()} on ")
    assert state_of(run, unit).word == "ready"


def test_status_of_a_plain_run_and_of_a_killed_try(calls, dataset, run, capsys):
    assert set(words(run).values()) == {"done", "ready", "waiting"} and words(run)["prepare-3d-0of1"] == "done"
    script = "from autoseg.run_folder.paths import RunFolder; from autoseg.work.tries import begin_try; "
    script += f"from pathlib import Path; begin_try(RunFolder(Path({str(run.path)!r})), 'train-3d-fold_1')"
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", script], check=True)
    found = autoseg.status(run.path)
    told = on_one_line(capsys.readouterr().out)
    assert "2 of 9 units of work are done" in told and "ended without a word" in told
    assert {unit.name: state.word for unit, state in found.units}["train-3d-fold_1"] == "failed"
    assert list(found.to_frame().columns)[:2] == ["unit", "state"]
    autoseg.run(dataset, run.path, workers=1)
    assert words(run)["train-3d-fold_1"] == "done"


def test_cases_that_are_gone_are_removed_unless_a_process_preprocesses_there(calls, asked):
    for unit in units_of(asked)[:2]:
        do_unit.do_unit(asked, unit.name)
    gone = asked.case("3d", "gone")
    gone.mkdir()
    write_text(asked.dataset_changed, "")
    with locked(asked.preprocessed("3d"), "preprocessing"):
        do_unit.do_unit(asked, "plan")
    assert gone.exists() and words(asked)["plan"] == "done"
    write_text(asked.dataset_changed, "")
    do_unit.do_unit(asked, "plan")
    assert not gone.exists() and asked.case("3d", "ball_0").exists()


def test_the_status_of_a_plain_run_is_known_while_it_plans(calls, dataset, tmp_path, monkeypatch, capsys):
    run, real, seen = RunFolder(tmp_path / "plain"), preparation.make_plan, []

    def watched(*given):
        seen.append({unit.name: state for unit, state in autoseg.status(run.path).units})
        return real(*given)

    monkeypatch.setattr(preparation, "make_plan", watched)
    with pytest.raises(RunFolderError, match="They make it once the data set is checked"):
        autoseg.status(run.path)
    autoseg.run(dataset, run.path, config="2d", workers=1, device="cpu")
    assert seen[0]["plan"].word == "running" and seen[0]["train-2d-fold_0"].word == "waiting" and len(seen[0]) == 9
    assert "0 of 9 units of work are done" in on_one_line(capsys.readouterr().out)


def test_folds_side_by_side_have_all_that_is_left(calls, asked):
    for unit in units_of(asked)[:3]:
        do_unit.do_unit(asked, unit.name)
    for fold in range(2):
        do_unit.do_unit(asked, f"train-3d-fold_{fold}")
    seconds = [options["seconds_from_now"] for _, _, options in calls.trained]
    # five folds at once: one round, so that each has nearly the whole budget of 40 minutes
    assert all(0.8 * 2400 < one < 2400 for one in seconds)
    write_request(asked, Request(dataset="/d", configurations=("3d",), folds=5, parts=2, at_once=1, device="cpu"))
    do_unit.do_unit(asked, "train-3d-fold_2")
    assert calls.trained[-1][2]["seconds_from_now"] < 0.4 * 2400
