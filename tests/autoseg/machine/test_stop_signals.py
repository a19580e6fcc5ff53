"""Signals that a terminal or a scheduler sends to every process, at a moment when a new worker still imports."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys

import pytest

from autoseg.machine.stop_signals import held_back_from_new_workers, leave_stopping_to_the_parent

SPAWN = multiprocessing.get_context("spawn")


def work(answer_sigterm: bool) -> None:
    if answer_sigterm:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(5))
    leave_stopping_to_the_parent()


def exit_code(number: int, held: contextlib.AbstractContextManager, answer_sigterm: bool = False) -> int | None:
    """Exit status of a worker that a signal reaches as soon as it is started."""
    process = SPAWN.Process(target=work, args=(answer_sigterm,))
    with held:
        process.start()
        os.kill(process.pid, number)
    process.join(60)
    return process.exitcode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_the_parent_answers_does_not_end_a_worker_that_still_imports(number: int) -> None:
    assert exit_code(number, held_back_from_new_workers()) == 0
    assert exit_code(number, contextlib.nullcontext()) == -number


def test_a_worker_gives_its_own_answer_to_sigterm_once_it_is_ready() -> None:
    assert exit_code(signal.SIGTERM, held_back_from_new_workers(), answer_sigterm=True) == 5
    assert exit_code(signal.SIGTERM, held_back_from_new_workers()) == -signal.SIGTERM


def test_the_parent_gets_its_signals_as_before() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with held_back_from_new_workers():
        assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} <= signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


TRACKER = """
import os, signal, sys, time
from multiprocessing import resource_tracker
from autoseg.disk.this_process import start_of
from autoseg.machine.stop_signals import start_tracker
start_tracker()
tracker = resource_tracker._resource_tracker._pid
assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    # until it says that it ignores the others, they are blocked too
    os.kill(tracker, number)
time.sleep(1)
print(start_of(tracker) is not None)
"""


def test_what_cleans_up_behind_workers_outlives_a_closed_terminal() -> None:
    said = subprocess.run([sys.executable, "-c", TRACKER], capture_output=True, text=True, timeout=60)
    assert said.stdout == "True\n", said.stderr
