"""Which checkpoints are on disk, and which states are gone back to, in a fold with epochs of four steps."""

import threading
from pathlib import Path

import pytest

from autoseg.machine import clock
from tests.trainer.test_checkpoint import make_learner, make_state
from trainer import checkpoint, checkpoint_writer
from trainer.checkpoint import Snapshot
from trainer.checkpoint_writer import CheckpointWriter


def snapshot(step: int) -> Snapshot:
    return checkpoint.take(make_state(step), make_learner())


def on_disk(folder: Path) -> list[int]:
    return [int(one.name.removeprefix("step_")) for one in reversed(checkpoint.generations(folder))]


def end_epoch(writer: CheckpointWriter, step: int) -> None:
    writer.keep(snapshot(step))
    if writer.is_due_after_an_epoch:
        writer.write(snapshot(step), at_once=True)


@pytest.fixture
def now(monkeypatch):
    class Now:
        seconds, of_a_write = 0.0, 0.0

    monkeypatch.setattr(clock, "now", lambda: Now.seconds)
    written = checkpoint.write

    def write(*arguments):
        Now.seconds += Now.of_a_write
        written(*arguments)

    monkeypatch.setattr(checkpoint, "write", write)
    return Now


@pytest.mark.parametrize("beside", [False, True])
def test_quick_checkpoints_are_written_after_every_epoch(tmp_path, now, beside) -> None:
    writer = CheckpointWriter(tmp_path, 4, beside=beside)
    now.of_a_write = 0.9 * checkpoint_writer.QUICKLY_WRITTEN
    for step in (0, 4, 8, 12):
        end_epoch(writer, step)
        assert on_disk(tmp_path)[-1] == step
    writer.close()


def test_slow_ones_are_too_on_a_cpu(tmp_path, now) -> None:
    writer = CheckpointWriter(tmp_path, 4, beside=False)
    now.of_a_write = 20 * checkpoint_writer.QUICKLY_WRITTEN
    for step in (0, 4, 8):
        end_epoch(writer, step)
        assert on_disk(tmp_path)[-1] == step


def test_slow_ones_beside_a_gpu_every_few_minutes_with_the_states_to_go_back_to(tmp_path, now) -> None:
    writer = CheckpointWriter(tmp_path, 4, beside=True)
    now.of_a_write = 2.0
    for step in (0, 4, 8, 12):
        now.seconds += 40
        end_epoch(writer, step)
    assert on_disk(tmp_path) == [0], "160 seconds after the first one"
    assert not writer.is_due
    now.seconds += 61
    assert writer.is_due
    writer.write(snapshot(14), at_once=True)
    assert on_disk(tmp_path) == [8, 12, 14]
    writer.close()


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("resumed", [False, True])
def test_training_goes_back_to_the_same_state_whether_or_not_it_was_resumed(tmp_path, now, resumed, beside) -> None:
    writer = CheckpointWriter(tmp_path, 4, beside=beside)
    now.of_a_write = 2.0
    for step in (0, 4, 8, 12):
        end_epoch(writer, step)
    writer.write(snapshot(14), at_once=True)
    if resumed:
        writer.close()
        writer = CheckpointWriter(tmp_path, 4, beside=beside)
    found = [writer.to_go_back_to(other_than) for other_than in ([], [12], [8, 12])]
    assert [one.state.step for one in found if one is not None] == [12, 8, 12]
    writer.close()


def test_there_is_nothing_to_go_back_to_at_first(tmp_path) -> None:
    assert CheckpointWriter(tmp_path, 4, beside=False).to_go_back_to([]) is None


def test_after_going_back_later_states_are_forgotten(tmp_path, now) -> None:
    writer = CheckpointWriter(tmp_path, 4, beside=False)
    for step in (0, 4, 8):
        end_epoch(writer, step)
    end_epoch(writer, 4)
    found = writer.to_go_back_to([])
    assert found is not None and found.state.step == 4
    assert on_disk(tmp_path) == [4]


def test_beside_training_it_is_written_later_and_waited_for(tmp_path, monkeypatch) -> None:
    may_write, written = threading.Event(), checkpoint.write

    def write(*arguments):
        assert may_write.wait(10)
        written(*arguments)

    monkeypatch.setattr(checkpoint, "write", write)
    writer = CheckpointWriter(tmp_path, 4, beside=True)
    writer.write(snapshot(4))
    assert on_disk(tmp_path) == []
    may_write.set()
    writer.close()
    assert on_disk(tmp_path) == [4]


def test_an_error_beside_training_is_raised_at_the_next_call(tmp_path, monkeypatch) -> None:
    def write(*_):
        raise OSError("no space")

    monkeypatch.setattr(checkpoint, "write", write)
    writer = CheckpointWriter(tmp_path, 4, beside=True)
    writer.write(snapshot(4))
    with pytest.raises(OSError, match="no space"):
        writer.wait()
    writer.close()
