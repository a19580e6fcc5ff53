"""What an engine with a queue tells `autoseg status`; Slurm is a dictionary here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest

from autoseg.commands.cancel import cancel
from autoseg.commands.status import status
from autoseg.errors import InputError
from autoseg.files import write_text
from autoseg.run_folder.lock import locked
from autoseg.run_folder.paths import RunFolder
from autoseg.work.engine import EngineRecord, Name, told_by_engine
from autoseg.work.engines import slurm_commands
from autoseg.work.engines.slurm_commands import QueuedJob
from autoseg.work.request import Request, write_request
from autoseg.work.state import State
from autoseg.work.units import units_of
from tests.words import on_one_line


def given_to(engine: Name, folder: Path) -> RunFolder:
    run = RunFolder(folder)
    write_request(run, Request(dataset="/data", configurations=("3d",), folds=2))
    write_text(run.engine, EngineRecord(engine=engine).model_dump_json())
    return run


def told_of(engine: Name, folder: Path, word: Literal["ready", "running"] = "ready") -> Mapping[str, str]:
    run = given_to(engine, folder)
    return told_by_engine(run, dict.fromkeys(units_of(run), State(word)))


def test_units_in_the_queue_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_commands, "queued", lambda run: {"plan": QueuedJob("3", "RUNNING", "node1", "None")})
    told = told_of("slurm", tmp_path)
    assert told["plan"] == "job 3 on node1" and told["train-3d-fold_1"] == "is sent once the plan is made"
    assert told_of("local", tmp_path / "other") == {}


def test_a_unit_that_was_begun_by_hand_is_not_told_to_be_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_commands, "queued", lambda run: {})
    assert "plan" in told_of("slurm", tmp_path) and "plan" not in told_of("slurm", tmp_path, "running")


def test_a_machine_without_slurm_says_so_once_and_shows_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(run: RunFolder) -> dict[str, QueuedJob]:
        raise InputError("squeue is not found")

    monkeypatch.setattr(slurm_commands, "queued", missing)
    assert len(status(given_to("slurm", tmp_path).path).units) == 6
    printed = on_one_line(capsys.readouterr().out)
    assert printed.count("squeue is not found") == 1 and "train-3d-fold_1" in printed


def test_cancel_tells_of_processes_that_no_job_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slurm_commands, "every_queued", lambda run: ())
    run = given_to("slurm", tmp_path)
    with locked(run.work / "plan", "planning"):
        cancel(run.path)
    printed = on_one_line(capsys.readouterr().out)
    assert "Nothing was left to take back." in printed and "plan: process" in printed
