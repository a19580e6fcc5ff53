"""What a fold needs to begin or to go on: the plan it was begun by, memory, workers, a choice that rests on it."""

import json
import shutil

import pytest
import torch

from autoseg.disk.checksums import SEAL
from autoseg.errors import OutOfMemory, RunFolderError
from autoseg.run_folder.finished_fold import Finished
from autoseg.run_folder.selection import Selection, write_selection
from autoseg.run_folder.splits import Split, write_splits
from tests.trainer.interrupted import same, stop_after, weights
from tests.words import on_one_line
from trainer.fold import train_fold
from trainer.learner import Learner
from trainer.open_fold import default_workers


def test_a_changed_plan_is_refused_for_a_begun_fold(tiny_run, monkeypatch) -> None:
    run = tiny_run()
    stop_after(monkeypatch, 6)
    with pytest.raises(KeyboardInterrupt):
        train_fold(run, "3d", 0, device="cpu", workers=0)
    run.plan.write_text(run.plan.read_text(encoding="utf-8").replace("weight_decay: 0.01", "weight_decay: 0.02"))
    with pytest.raises(RunFolderError, match="changed since this fold was begun"):
        train_fold(run, "3d", 0, device="cpu", workers=0)


def test_how_it_predicts_may_change_while_a_fold_is_trained(tiny_run, monkeypatch) -> None:
    undisturbed = tiny_run("undisturbed")
    train_fold(undisturbed, "3d", 0, device="cpu", workers=0)
    run = tiny_run()
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        with pytest.raises(KeyboardInterrupt):
            train_fold(run, "3d", 0, device="cpu", workers=0)
    text = run.plan.read_text(encoding="utf-8")
    run.plan.write_text(text.replace("overlap: 0.5", "overlap: 0.25"), encoding="utf-8")
    assert run.plan.read_text(encoding="utf-8") != text
    train_fold(run, "3d", 0, device="cpu", workers=0)
    assert same(weights(run), weights(undisturbed))


def test_a_begun_fold_refuses_cases_prepared_in_another_way(tiny_run, monkeypatch) -> None:
    run = tiny_run()
    stop_after(monkeypatch, 6)
    with pytest.raises(KeyboardInterrupt):
        train_fold(run, "3d", 0, device="cpu", workers=0)
    text = run.plan.read_text(encoding="utf-8")
    run.plan.write_text(text.replace("normalization: z_score", "normalization: ct"), encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"fold_0: fold 0 of 3d .*differing: channels"):
        train_fold(run, "3d", 0, device="cpu", workers=0)


def test_a_choice_that_rests_on_a_fold_which_is_trained_anew_is_set_aside(tiny_run, capfd) -> None:
    run = tiny_run()
    write_selection(run, Selection(configurations=("2d",)))
    train_fold(run, "3d", 0, device="cpu", workers=0)
    assert run.selected.exists(), "it rests on another configuration"
    write_selection(run, Selection(configurations=("2d", "3d")))
    train_fold(run, "3d", 0, device="cpu", workers=0)
    assert run.selected.exists(), "a finished fold is not trained anew"
    shutil.rmtree(run.fold("3d", 0))
    train_fold(run, "3d", 0, device="cpu", workers=0)
    assert not run.selected.exists() and run.former_selection.exists()
    assert "autoseg select" in on_one_line(capfd.readouterr().err)


def test_a_device_without_enough_memory_is_named(tiny_run, monkeypatch) -> None:
    run = tiny_run()

    def out_of_memory(*arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Learner, "step", out_of_memory)
    with pytest.raises(OutOfMemory, match=r"device cpu \(.* free\): its memory does not hold a training step"):
        train_fold(run, "3d", 0, device="cpu", workers=0)
    with pytest.raises(OutOfMemory, match="device cpu"):
        train_fold(tiny_run("timed"), "3d", 0, device="cpu", workers=0, seconds=60)


def test_workers_beside_a_gpu_are_counted_by_the_cores(monkeypatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    monkeypatch.setattr("trainer.open_fold.available_cores", lambda: 8)
    assert default_workers(torch.device("cuda")) == 7
    assert default_workers(torch.device("cpu")) == 0


def test_other_folds_are_refused_for_a_begun_fold(tiny_run, monkeypatch) -> None:
    run = tiny_run()
    stop_after(monkeypatch, 6)
    with pytest.raises(KeyboardInterrupt):
        train_fold(run, "3d", 0, device="cpu", workers=0)
    write_splits(run.splits, (Split(train=("ball_1", "ball_2", "ball_3", "ball_4"), val=("ball_0",)),))
    with pytest.raises(RunFolderError, match=r"splits\.json, was changed since this fold was begun"):
        train_fold(run, "3d", 0, device="cpu", workers=0)


@pytest.mark.parametrize("of_an_earlier_release", [False, True])
def test_another_number_type_than_so_far_is_told(tiny_run, monkeypatch, capfd, of_an_earlier_release: bool) -> None:
    run = tiny_run()
    monkeypatch.setattr("autoseg.machine.device.bfloat16_pays", lambda: False)
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        with pytest.raises(KeyboardInterrupt):
            train_fold(run, "3d", 0, device="cpu", workers=0)
    if of_an_earlier_release:
        for state in (run.fold("3d", 0) / "checkpoint").glob("*/state.json"):
            written = json.loads(state.read_text(encoding="utf-8")) | {"precision": None}
            state.write_text(json.dumps({name: v for name, v in written.items() if name != SEAL}), encoding="utf-8")
    monkeypatch.setattr("trainer.open_fold.precision", lambda device: "bfloat16")
    train_fold(run, "3d", 0, device="cpu", workers=0)
    assert "Trained in float32 so far, going on in bfloat16" in on_one_line(capfd.readouterr().err)
    finished = Finished.model_validate_json(run.finished("3d", 0).read_text(encoding="utf-8"))
    assert finished.precision == "float32, bfloat16"
