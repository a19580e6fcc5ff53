"""Signals that a terminal or a scheduler sends to every process, at a moment when a new worker still imports."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from autoseg.machine.stop_signals import held_back_from_new_workers, leave_stopping_to_the_parent

SPAWN = multiprocessing.get_context("spawn")


class AtImport:
    """An argument of a worker: while it is unpacked there, before any function runs, the worker waits for a signal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[Path], Path], tuple[Path]]:
        return wait_for_signal, (self.folder,)


def wait_for_signal(folder: Path) -> Path:
    """In the worker: say that it imports, and wait until a signal was sent."""
    (folder / "imports").touch()
    while not (folder / "sent").exists():
        time.sleep(0.01)
    return folder


def work(_: Path, answer_sigterm: bool) -> None:
    if answer_sigterm:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(5))
    leave_stopping_to_the_parent()


def exit_code(
    folder: Path, number: int, held: contextlib.AbstractContextManager, answer_sigterm: bool = False
) -> int | None:
    """Exit status of a worker that a signal reaches while it still imports."""
    folder.mkdir()
    process = SPAWN.Process(target=work, args=(AtImport(folder), answer_sigterm))
    with held:
        process.start()
        while not (folder / "imports").exists():
            assert process.is_alive()
            time.sleep(0.01)
        os.kill(process.pid, number)
        (folder / "sent").touch()
    process.join(600)
    return process.exitcode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_the_parent_answers_does_not_end_a_worker_that_still_imports(number: int, tmp_path: Path) -> None:
    assert exit_code(tmp_path / "held", number, held_back_from_new_workers()) == 0
    assert exit_code(tmp_path / "free", number, contextlib.nullcontext()) == -number


def test_a_worker_gives_its_own_answer_to_sigterm_once_it_is_ready(tmp_path: Path) -> None:
    assert exit_code(tmp_path / "own", signal.SIGTERM, held_back_from_new_workers(), answer_sigterm=True) == 5
    assert exit_code(tmp_path / "none", signal.SIGTERM, held_back_from_new_workers()) == -signal.SIGTERM


def test_the_parent_gets_its_signals_as_before() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with held_back_from_new_workers():
        assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} <= signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


TRACKER = """
import os, signal
from multiprocessing import resource_tracker
from autoseg.machine.stop_signals import start_tracker
start_tracker()
tracker = resource_tracker._resource_tracker
assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    # until it says that it ignores the others, they are blocked too
    os.kill(tracker._pid, number)
# it ends once this pipe is closed, and only then
os.close(tracker._fd)
print(os.waitpid(tracker._pid, 0)[1])
tracker._fd = tracker._pid = None
"""


def test_what_cleans_up_behind_workers_outlives_a_closed_terminal() -> None:
    said = subprocess.run([sys.executable, "-c", TRACKER], capture_output=True, encoding="utf-8", timeout=300)
    assert said.stdout == "0\n", said.stderr
