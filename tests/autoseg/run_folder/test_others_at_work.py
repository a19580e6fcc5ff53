"""Of processes that work on a run at the same time, each counts its share of the wall time."""

import subprocess
import sys
from pathlib import Path

import pytest

from autoseg.run_folder.lock import locked
from autoseg.run_folder.others_at_work import OthersAtWork
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.time_spent import read_time_spent, timed
from autoseg.run_folder.timed_stage import Stage

HOLD = """
import sys
from contextlib import ExitStack
from pathlib import Path
from autoseg.run_folder.lock import locked
with ExitStack() as held:
    for place in sys.argv[1:]:
        held.enter_context(locked(Path(place), "working"))
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return RunFolder(tmp_path)


def hold(*places: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HOLD, *map(str, places)]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, encoding="utf-8")
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_each_other_process_counts_once_and_this_one_never(run) -> None:
    others = OthersAtWork(run)
    assert others.count() == 0
    with locked(run.work / "train-3d-fold_1", "working"), locked(run.fold("3d", 1), "training"):
        assert others.count() == 0
        first = hold(run.work / "train-3d-fold_0", run.fold("3d", 0))
        second = hold(run.preprocessed("3d"))
        assert others.count() == 2
        # a moment's lock, and that of the process that places units and does none
        brief = hold(run.work / "plan.json", run.ray)
        assert others.count() == 2
        for process in (first, second, brief):
            process.kill()
            process.wait()
        assert others.count() == 0


@pytest.mark.parametrize("shared", [True, False])
def test_time_beside_another_process_counts_by_half(run, monkeypatch, shared) -> None:
    now = iter([100.0, 130.0, 130.0])
    monkeypatch.setattr("autoseg.machine.clock.now", lambda: next(now))
    stage = Stage("train", "3d", 0)
    other = hold(run.fold("3d", 1))
    with timed(run, stage, every=1e6, shared=shared):
        pass
    other.kill()
    other.wait()
    spent = read_time_spent(run)
    assert spent.total == (15.0 if shared else 30.0)
    assert spent.of(stage) == 30.0
