"""How far a fold in training is, from its log and its last checkpoint, which may be a stranger's."""

import json
import os
from pathlib import Path

import pytest

from autoseg.commands.status import status
from autoseg.disk.text_files import last_bytes
from autoseg.plan.plan import write_plan
from autoseg.run_folder.lock import locked
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import FoldProgress
from autoseg.work.fold_progress import MOST_STATE_BYTES, progress_of_fold, told_progress
from autoseg.work.request import Request, write_request
from tests.example_plan import example_plan
from tests.words import on_one_line

HEAD = "epoch,step,learning_rate,loss,train_dice,val_dice,seconds"


def log(fold: Path, *rows: str) -> None:
    fold.mkdir(parents=True, exist_ok=True)
    (fold / "log.csv").write_text("".join(f"{row}\n" for row in (HEAD, *rows)), encoding="utf-8")


def checkpoint(fold: Path, step: int, *lengths: int, **more: object) -> Path:
    """A checkpoint whose schedule had these lengths one after the other; returns the file of its state."""
    state = {"step": step, "training": {"iterations": lengths[0]}, "events": [{"iterations": n} for n in lengths[1:]]}
    file = fold / "checkpoint" / f"step_{step:08d}" / "state.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(state | more), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("rows", "now"),
    [
        ([], None),
        (["1,40,0.01,0.5,0.25,,3"], FoldProgress(40, 80, "0.500", "0.250", "training")),
        (
            ["1,40,0.01,0.5,0.25,,3", "2,80,0.01,-0.4,0.75,0.7,6"],
            FoldProgress(80, 80, "-0.400", "0.750", "validation"),
        ),
        (["1,40,0.01,0.5,,,3"], FoldProgress(40, 80, "0.500", "nan", "training")),
        (["1,half,0.01,0.5,0.25,,3"], None),
        (["1"], None),
        ([f"1,{10**13},0.01,0.5,0.25,,3"], None),
    ],
)
def test_without_a_checkpoint_the_last_epoch_and_the_plan_tell(tmp_path, rows, now) -> None:
    assert progress_of_fold(tmp_path, 80) is None
    log(tmp_path, *rows)
    assert progress_of_fold(tmp_path, 80) == now
    assert progress_of_fold(tmp_path, None) is None


def test_the_checkpoint_tells_the_present_length_and_the_later_of_both_the_step(tmp_path) -> None:
    checkpoint(tmp_path, 0, 500, 342)
    assert told_progress(progress_of_fold(tmp_path, 80)) == "step 0 of 342"
    log(tmp_path, "1,40,0.01,0.5,0.25,,3")
    checkpoint(tmp_path, 57, 500, 342, 400)
    assert told_progress(progress_of_fold(tmp_path, 80)) == "step 57 of 400"
    log(tmp_path, "1,40,0.01,0.5,0.25,,3", "2,400,0.01,0.5,0.25,,3")
    assert told_progress(progress_of_fold(tmp_path, 80)) == "step 400 of 400, now validation"


def test_what_is_no_state_is_passed_over(tmp_path) -> None:
    checkpoint(tmp_path, 20, 342)
    os.mkfifo(checkpoint(tmp_path, 30, 400).with_name("pipe"))
    (tmp_path / "checkpoint" / "step_00000030" / "pipe").replace(tmp_path / "checkpoint/step_00000030/state.json")
    checkpoint(tmp_path, 40, 400, more="x" * MOST_STATE_BYTES)
    assert told_progress(progress_of_fold(tmp_path, 80)) == "step 20 of 342"
    checkpoint(tmp_path, 50, -1)
    # the three newest are looked at
    assert progress_of_fold(tmp_path, 80) is None


def test_of_a_large_file_only_the_end_is_read(tmp_path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    assert [last_bytes(tmp_path / "a", most) for most in (3, 10, 99)] == [b"789", b"0123456789", b"0123456789"]
    os.mkfifo(tmp_path / "b")
    assert last_bytes(tmp_path / "b", 3) == last_bytes(tmp_path / "none", 3) == b""


def test_status_tells_how_far_a_fold_is_that_runs(tmp_path, capsys) -> None:
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    write_plan(run.plan, example_plan(), {})
    write_request(run, Request(dataset="/data", configurations=("3d",), folds=2))
    for fold in (0, 1):
        checkpoint(run.fold("3d", fold), 120 + fold, 342)
    with locked(run.work / "train-3d-fold_1", "training"):
        found = status(run.path)
    told = on_one_line(capsys.readouterr().out)
    assert "step 121 of 342; process" in told and "step 120" not in told
    assert list(found.to_frame()["progress"]).count("step 121 of 342") == 1
