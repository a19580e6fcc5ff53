"""What an engine with a queue tells `autoseg status`; Slurm is a dictionary here."""

from pathlib import Path

import pytest

from autoseg.errors import InputError
from autoseg.files import write_text
from autoseg.run_folder.paths import RunFolder
from autoseg.work.engine import EngineRecord, Name, told_by_engine
from autoseg.work.engines import slurm_commands
from autoseg.work.engines.slurm_commands import QueuedJob
from autoseg.work.request import Request, write_request


def given_to(engine: Name, folder: Path) -> RunFolder:
    run = RunFolder(folder)
    write_request(run, Request(dataset="/data", configurations=("3d",), folds=2))
    write_text(run.engine, EngineRecord(engine=engine).model_dump_json())
    return run


def test_units_in_the_queue_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_commands, "queued", lambda run: {"plan": QueuedJob("3", "RUNNING", "node1", "None")})
    told = told_by_engine(given_to("slurm", tmp_path))
    assert told["plan"] == "job 3 on node1" and told["train-3d-fold_1"] == "is sent once the plan is made"
    assert told_by_engine(given_to("local", tmp_path / "other")) == {}


def test_a_machine_without_slurm_says_so_and_shows_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(run: RunFolder) -> dict[str, QueuedJob]:
        raise InputError("squeue is not found")

    monkeypatch.setattr(slurm_commands, "queued", missing)
    assert told_by_engine(given_to("slurm", tmp_path))["plan"].endswith("not known here: squeue is not found")
