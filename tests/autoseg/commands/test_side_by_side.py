"""Processes that train side by side: which begins when, what is told, failures and stops. Training is played."""

import io
import multiprocessing
import os
import signal
import threading
import time
from types import SimpleNamespace

import psutil
import pytest
from rich.console import Console

from autoseg.commands.plan_options import PlanOptions
from autoseg.commands.side_by_side import SideBySide
from autoseg.commands.study import concerns_all
from autoseg.errors import InputError, PartialFailure
from autoseg.plan.plan import read_plan
from autoseg.run_folder.time_spent import read_time_spent
from tests.autoseg.commands import fold_mains
from trainer.stop_request import TrainingStopped

FOLDS = [("3d", fold) for fold in range(5)]


def side_by_side(run, main, *, failed=None, begin=lambda name, fold, left: None, **options) -> SideBySide:
    console = Console(file=io.StringIO(), width=200)
    wanted = PlanOptions(None, None, "cpu", None, devices=("cpu", "cpu"), **options)
    reports = SimpleNamespace(seconds=lambda: None)
    return SideBySide(run, read_plan(run.plan), ["3d"], wanted, reports, console, begin, failed, main)


def calls(run) -> list[list[str]]:
    file = run.path / "calls.txt"
    return [line.split() for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def when(condition, action) -> threading.Thread:
    """Do something as soon as a condition holds, from another thread."""

    def wait() -> None:
        until = time.monotonic() + 300
        while not condition() and time.monotonic() < until:
            time.sleep(0.02)
        action()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_two_at_a_time_each_in_its_turn(run) -> None:
    begun = []
    side_by_side(run, fold_mains.works, begin=lambda *told: begun.append(told)).train(FOLDS)
    assert begun == [("3d", fold, 5 - fold) for fold in range(5)]
    told = calls(run)
    now, most = 0, 0
    for word, *_ in told:
        now += 1 if word == "began" else -1
        most = max(most, now)
    # on a busy machine one may have ended before the next has begun
    assert now == 0 and most <= 2
    assert sorted(int(fold) for word, _, fold, *_ in told if word == "ended") == list(range(5))


def test_seconds_side_by_side_are_not_added_up(run) -> None:
    before = read_time_spent(run).total
    started = time.monotonic()
    side_by_side(run, fold_mains.works).train(FOLDS[:2])
    waited = time.monotonic() - started
    spent = read_time_spent(run)
    assert 0 < spent.total - before <= waited
    assert sum(spent.beside.values()) >= 0.9 * fold_mains.SECONDS


def test_every_fold_gets_its_part_of_the_rounds_that_are_left(run) -> None:
    seconds = []
    trained = side_by_side(run, fold_mains.works)
    task_time = SideBySide._time

    class Watched(SideBySide):
        def _time(self, state):
            found = task_time(self, state)
            seconds.append(found.training_seconds)
            return found

    Watched(**vars(trained)).train(FOLDS)
    # 2400 s: three rounds, then two, then one; training takes no time here, so that all is left to the last round
    assert seconds[:2] == pytest.approx([seconds[0]] * 2, rel=0.02)
    assert 700 < seconds[0] < 800
    assert seconds[2:4] == pytest.approx([1.5 * seconds[0]] * 2, rel=0.05)
    assert seconds[4] == pytest.approx(3 * seconds[0], rel=0.05)


def test_folds_that_fail_are_told_at_the_end_and_the_others_end(run) -> None:
    trained = side_by_side(run, fold_mains.first_fails)
    with pytest.raises(PartialFailure) as failure:
        trained.train(FOLDS[:4])
    assert [int(fold) for word, _, fold, *_ in calls(run) if word == "ended"] in ([2, 3], [3, 2])
    heading, *failures = str(failure.value).splitlines()
    assert heading == "2 folds failed; the others are finished, and the same command tries these again"
    first, second = sorted(failures)
    assert first.startswith("3d, fold 0: case ball_3 is damaged") and str(run.training_log("3d", 0)) in first
    assert second.startswith("3d, fold 1: its process was ended by SIGKILL, which the system does when memory runs out")
    assert failure.value.exit_status == 1
    assert "3d, fold 0 failed: case ball_3 is damaged. The others go on." in trained.console.file.getvalue()


def test_a_handler_skips_the_rest_of_the_configuration(run) -> None:
    failures = []
    trained = side_by_side(run, fold_mains.first_fails, failed=lambda *told: failures.append(told))
    trained.train(FOLDS)
    assert sorted((name, fold) for name, fold, _ in failures) == [("3d", 0), ("3d", 1)]
    assert len(calls(run)) <= 2, "those that had not begun are skipped"


def test_an_error_that_concerns_all_stops_the_others_cleanly(run) -> None:
    def failed(name, fold, error) -> None:
        assert concerns_all(error)
        raise error

    with pytest.raises(OSError, match="No space left") as full:
        side_by_side(run, fold_mains.disk_is_full, failed=failed).train(FOLDS)
    assert full.value.filename == str(run.plan)
    assert [call[:3] for call in calls(run)] == [["began", "3d", "1"], ["stopped", "3d", "1"]]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_stops_all_and_each_saves_its_state(run, number, status) -> None:
    def as_a_terminal_does() -> None:
        for child in psutil.Process().children():
            # the process that cleans up behind the others ignores it, and so do those that train
            child.send_signal(signal.SIGINT)
        os.kill(os.getpid(), number)

    when(lambda: len(calls(run)) == 2, as_a_terminal_does)
    with pytest.raises(TrainingStopped) as stopped:
        side_by_side(run, fold_mains.works_long).train(FOLDS)
    assert stopped.value.exit_status == status
    assert sorted(call[0] for call in calls(run)) == ["began", "began", "stopped", "stopped"]
    first, *folds = str(stopped.value).splitlines()
    assert first == "Stopped; what is finished is kept, and the same command goes on."
    assert sorted(folds) == [f"3d, fold {fold}: Stopped at step 5 of 10." for fold in (0, 1)]


def test_a_second_signal_ends_the_processes_at_once(run) -> None:
    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        # two signals at once count as one
        while signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    when(lambda: len(calls(run)) == 2, twice)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        side_by_side(run, fold_mains.deaf).train(FOLDS)
    assert time.monotonic() - started < 300
    assert not multiprocessing.active_children()


def test_a_daemon_is_told_why_it_may_not(run, monkeypatch) -> None:
    monkeypatch.setattr("autoseg.commands.side_by_side.can_start_workers", lambda: False)
    with pytest.raises(InputError, match="--devices: this process may not start others"):
        side_by_side(run, fold_mains.works).train(FOLDS)


def test_every_fold_in_training_has_a_line(run, monkeypatch) -> None:
    shown = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    monkeypatch.setattr("autoseg.commands.side_by_side.open_console", lambda stderr: shown)
    side_by_side(run, fold_mains.works).train(FOLDS[:2])
    text = shown.file.getvalue()
    for fold in (0, 1):
        assert f"3d, fold {fold}, cpu" in text
    assert "step 5/10  loss 0.5  Dice 0.8" in text and "1 s left" in text and "starting" in text
