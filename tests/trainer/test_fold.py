import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from autoseg.errors import RunFolderError
from autoseg.image.image import read_geometry, read_label
from autoseg.run_folder.finished_fold import Finished
from autoseg.run_folder.lock import locked
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import read_record
from autoseg.whole_image.case_probabilities import LEVELS
from autoseg.whole_image.out_of_fold import read_probabilities
from tests.trainer.interrupted import same, stop_after, weights
from trainer import checkpoint, events, fold
from trainer.events import TrainingCollapsed
from trainer.fold import train_fold
from trainer.learner import Learner
from trainer.schedule import CLIP_AFTER_COLLAPSE

ROOT = Path(__file__).parents[2]


def start(run: RunFolder) -> subprocess.Popen:
    code = (
        "import sys; from pathlib import Path\n"
        "from autoseg.errors import AutosegError; from autoseg.run_folder.paths import RunFolder\n"
        "from trainer.fold import train_fold\n"
        "try:\n"
        f"    train_fold(RunFolder(Path({str(run.path)!r})), '3d', 0, device='cpu', workers=0, threads=2)\n"
        "except AutosegError as error:\n"
        "    print(error, file=sys.stderr)\n"
        "    sys.exit(error.exit_status)\n"
    )
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True, encoding="utf-8")


def wait_for_checkpoint(run: RunFolder, process: subprocess.Popen) -> None:
    end = time.monotonic() + 600
    # one after some steps: that of step 0 is written before there is anything to lose
    while not (run.fold("3d", 0) / "log.csv").exists():
        assert process.poll() is None and time.monotonic() < end, process.stderr.read() if process.stderr else ""
        time.sleep(0.05)


def test_learns_and_leaves_what_it_should(tiny_run, drawn) -> None:
    run = tiny_run(iterations=150, iterations_per_epoch=50, learning_rate=0.02)
    train_fold(run, "3d", 0, device="cpu", workers=0)
    assert run.is_finished("3d", 0)
    summary = Finished.model_validate_json(run.finished("3d", 0).read_text(encoding="utf-8"))
    assert summary.steps == 150 and summary.dice["ball_4"][0] > 0.8
    assert summary.train == ("ball_0", "ball_1", "ball_2", "ball_3")
    predicted = run.cross_validation("3d") / "ball_4.nii.gz"
    reference = run.case("3d", "ball_4") / "reference.nii.gz"
    assert read_geometry(predicted)[0].largest_offset(read_geometry(reference)[0]) < 1e-5
    p, r = read_label(predicted).array == 5, read_label(reference).array == 5
    assert 2 * (p & r).sum() / (p.sum() + r.sum()) == pytest.approx(summary.dice["ball_4"][0])
    kept = read_probabilities(run.probabilities("3d"), "ball_4")
    foreground = kept.probabilities[1] > LEVELS / 2
    assert (foreground != p[0]).sum() <= 0.01 * p.sum(), "its own geometry is the plan's, so nothing is interpolated"
    assert kept.record == read_record(run.case("3d", "ball_4"))
    rows = list(csv.DictReader((run.fold("3d", 0) / "log.csv").open(encoding="utf-8")))
    assert [int(row["step"]) for row in rows] == [50, 100, 150]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert (run.fold("3d", 0) / "progress.png").stat().st_size > 1000


def test_a_log_that_a_kill_left_behind_its_checkpoint_is_completed(tiny_run, monkeypatch) -> None:
    run = tiny_run()
    real = fold.write_log

    def write_log(folder, rows, *, drawn: bool) -> None:
        if rows[-1].step == 12:
            raise KeyboardInterrupt
        real(folder, rows, drawn=drawn)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fold, "write_log", write_log)
        train_fold(run, "3d", 0, device="cpu", workers=0)
    train_fold(run, "3d", 0, device="cpu", workers=0)
    rows = list(csv.DictReader((run.fold("3d", 0) / "log.csv").open(encoding="utf-8")))
    assert run.is_finished("3d", 0) and [int(row["step"]) for row in rows] == [4, 8, 12]


@pytest.mark.slow
def test_killed_training_reaches_the_same_weights(tiny_run) -> None:
    undisturbed = tiny_run("undisturbed", iterations=40)
    train_fold(undisturbed, "3d", 0, device="cpu", workers=0, threads=2)
    run = tiny_run("killed", iterations=40)
    process = start(run)
    wait_for_checkpoint(run, process)
    process.kill()
    process.wait()
    assert not run.is_finished("3d", 0)
    train_fold(run, "3d", 0, device="cpu", workers=1, threads=2)
    assert same(weights(run), weights(undisturbed))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_saves_and_leaves_weights(tiny_run, number: int) -> None:
    run = tiny_run(iterations=100_000)
    process = start(run)
    wait_for_checkpoint(run, process)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 128 + number
    assert "Stopped at step" in errors and "same command goes on" in errors
    assert run.weights("3d", 0).exists() and not run.is_finished("3d", 0)
    # the newest, and two ends of an epoch to go back to where it is none itself
    assert len(checkpoint.generations(run.fold("3d", 0) / "checkpoint")) <= 3


def test_a_second_process_is_told(tiny_run) -> None:
    run = tiny_run()
    with (
        locked(run.fold("3d", 0), "training fold 0"),
        pytest.raises(RunFolderError, match="another process is training fold 0"),
    ):
        train_fold(run, "3d", 0, device="cpu", workers=0)


def test_the_last_whole_generation_is_used(tiny_run, monkeypatch) -> None:
    undisturbed = tiny_run("undisturbed")
    train_fold(undisturbed, "3d", 0, device="cpu", workers=0)
    run = tiny_run("damaged")
    with monkeypatch.context() as patch:
        stop_after(patch, 10)
        with pytest.raises(KeyboardInterrupt):
            train_fold(run, "3d", 0, device="cpu", workers=0)
    newest = checkpoint.generations(run.fold("3d", 0) / "checkpoint")[0] / "tensors.safetensors"
    newest.write_bytes(newest.read_bytes()[:1000])
    train_fold(run, "3d", 0, device="cpu", workers=0)
    assert same(weights(run), weights(undisturbed))


@pytest.mark.parametrize(("fails_at", "back_to"), [(2, 0), (6, 4)], ids=["first epoch", "second epoch"])
def test_a_loss_that_is_not_finite_goes_back_and_lowers_the_rate(
    tiny_run, monkeypatch, fails_at: int, back_to: int
) -> None:
    run = tiny_run()
    real = Learner.step
    failures = []

    def step(self, batch, rate, done):
        if done == fails_at and not failures:
            failures.append(done)
            return torch.tensor(float("nan")), torch.zeros((3, 1))
        return real(self, batch, rate, done)

    monkeypatch.setattr(Learner, "step", step)
    train_fold(run, "3d", 0, device="cpu", workers=0)
    (event,) = Finished.model_validate_json(run.finished("3d", 0).read_text(encoding="utf-8")).events
    assert (event.kind, event.step, event.rate_factor) == ("restored", back_to, 0.5)


def test_a_collapse_goes_back_behind_the_checkpoints_of_its_own_epoch(tiny_run, monkeypatch) -> None:
    run = tiny_run()
    monkeypatch.setattr("trainer.checkpoint_writer.SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    real = Learner.step
    poisoned = []

    def step(self, batch, rate, done):
        outcome = real(self, batch, rate, done)
        if done == 5 and not poisoned:
            poisoned.append(done)
            with torch.no_grad():
                next(self.module.parameters()).fill_(float("inf"))
        # a loss that hides it, so that the checkpoint after this step holds it
        return (torch.tensor(0.5), outcome[1]) if poisoned and done in (6, 7) and len(poisoned) == 1 else outcome

    def go_back(*arguments):
        poisoned.append(-1)
        return real_go_back(*arguments)

    real_go_back = events.go_back
    monkeypatch.setattr(events, "go_back", go_back)
    monkeypatch.setattr(Learner, "step", step)
    train_fold(run, "3d", 0, device="cpu", workers=0)
    (event,) = Finished.model_validate_json(run.finished("3d", 0).read_text(encoding="utf-8")).events
    assert (event.kind, event.step) == ("restored", 4) and "weights are not finite at step 8" in event.reason
    assert all(bool(torch.isfinite(weight).all()) for weight in weights(run).values())


def test_a_collapse_that_the_last_epoch_already_holds_goes_back_one_further_and_forgets_quickly(
    tiny_run, monkeypatch
) -> None:
    """A network that dies in the last step of an epoch: the checkpoint after it is dead, and an older one helps."""
    run = tiny_run(iterations=24)
    real, seen = Learner.step, []

    def step(self, batch, rate, done):
        seen.append((done, self.optimizer.param_groups[0]["betas"][1], self.clip))
        loss, counts = real(self, batch, rate, done)
        dead = done > 7 and [taken for taken, *_ in seen].count(7) == 1
        return loss, torch.zeros_like(counts) if dead else counts.clamp_min(1)

    monkeypatch.setattr(Learner, "step", step)
    train_fold(run, "3d", 0, device="cpu", workers=0)
    finished = Finished.model_validate_json(run.finished("3d", 0).read_text(encoding="utf-8"))
    taken = [done for done, *_ in seen]
    assert [taken.count(done) for done in (3, 4, 7, 8, 11, 12)] == [1, 2, 2, 3, 3, 1]
    assert [(event.kind, event.step) for event in finished.events] == [("restored", 4)]
    assert {tuple(how) for done, *how in seen if done < 4} == {(0.999, 12.0)}
    assert seen[-1] == (23, 0.98, CLIP_AFTER_COLLAPSE)


@pytest.mark.parametrize("fails_at", [0, 6])
def test_training_that_keeps_collapsing_is_an_error(tiny_run, monkeypatch, fails_at: int) -> None:
    run = tiny_run()
    real = Learner.step

    def step(self, batch, rate, done):
        return (torch.tensor(float("nan")), torch.zeros((3, 1))) if done == fails_at else real(self, batch, rate, done)

    monkeypatch.setattr(Learner, "step", step)
    with pytest.raises(TrainingCollapsed, match="learning_rate"):
        train_fold(run, "3d", 0, device="cpu", workers=0)


def test_epochs_given_by_hand(tiny_run) -> None:
    run = tiny_run()
    train_fold(run, "3d", 0, device="cpu", workers=0, epochs=1)
    assert Finished.model_validate_json(run.finished("3d", 0).read_text(encoding="utf-8")).steps == 4
