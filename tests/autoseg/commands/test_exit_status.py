"""A stop ends a command with its message and its status, whatever a library makes of it and whenever it comes."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cyclopts import App

from autoseg.commands.exit_status import run_command
from autoseg.errors import ImageError
from autoseg.machine import stop_answer
from tests.stopped_in_c import drop, translate


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Put the handlers of signals back after the test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    # under nohup the tests themselves would have SIGHUP ignored
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


ROOT = Path(__file__).parents[3]
STATUS = [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]


def status_of(work: Callable[[], object]) -> int:
    """Exit status of a command that does this."""
    app = App(suppress_keyboard_interrupt=False)
    app.command(lambda: work() and None, name="work")
    return run_command(app, ["work"])


class Cleaned:
    """An object during whose clean-up a signal comes, a number of times."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)
        # the handler is called between two calls
        time.sleep(0)


@pytest.mark.parametrize(("number", "status"), STATUS)
def test_a_stop_during_a_clean_up_is_not_lost(number: int, status: int, capfd) -> None:
    seen = []
    app = App(suppress_keyboard_interrupt=False)

    @app.command
    def work() -> None:
        Cleaned(number)
        seen.append("cleaned")
        for _ in range(1000):
            time.sleep(0.01)
        seen.append("went on to its end")

    assert run_command(app, ["work"]) == status
    assert seen == ["cleaned"]
    told = capfd.readouterr().err
    assert "Stopped. What is finished is kept" in told and "ignored" not in told


def test_other_ignored_exceptions_are_told_as_ever(monkeypatch) -> None:
    told = []
    monkeypatch.setattr("sys.unraisablehook", lambda ignored: told.append(ignored.exc_type))
    app = App(suppress_keyboard_interrupt=False)

    class Broken:
        def __del__(self) -> None:
            raise ValueError

    @app.command
    def work() -> None:
        Broken()

    assert run_command(app, ["work"]) == 0
    assert told == [ValueError]


@pytest.mark.parametrize(("number", "status"), STATUS)
def test_an_error_that_a_library_makes_of_a_stop_is_the_stop(number: int, status: int, capfd) -> None:
    assert status_of(lambda: translate(number)) == status
    told = capfd.readouterr().err
    assert told == "Stopped. What is finished is kept; the same command goes on from there.\n"


def test_what_autoseg_makes_of_that_error_is_the_stop_too(capfd) -> None:
    def work() -> None:
        try:
            translate(signal.SIGTERM)
        except sqlite3.Error:
            raise ImageError("a.nii.gz: damaged, copy it again") from None

    assert status_of(work) == 143
    assert "damaged" not in capfd.readouterr().err


def test_without_a_signal_a_defect_keeps_its_traceback(capfd) -> None:
    with pytest.raises(sqlite3.OperationalError):
        status_of(lambda: translate(0))
    with pytest.raises(ZeroDivisionError):
        status_of(lambda: 1 / 0)
    assert "Stopped" not in capfd.readouterr().err


def test_an_error_that_a_stop_without_a_signal_led_to_is_the_stop() -> None:
    def work() -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise ValueError

    assert status_of(work) == 130


def test_a_full_disk_after_a_stop_is_told(capfd) -> None:
    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(600)
        finally:
            raise OSError(errno.ENOSPC, "no space left", "log.csv")

    assert status_of(work) == 2
    assert "log.csv: no space left" in capfd.readouterr().err


def test_a_stop_that_is_lost_wakes_a_command_that_waits() -> None:
    def work() -> None:
        drop(signal.SIGTERM)
        threading.Event().wait(600)

    assert status_of(work) == 143


def test_a_stop_that_is_lost_at_the_end_is_told(monkeypatch) -> None:
    monkeypatch.setattr(stop_answer, "FIRST_LOOK", 600.0)
    assert status_of(lambda: drop(signal.SIGTERM)) == 143


def test_what_puts_in_order_after_a_stop_is_not_interrupted(monkeypatch) -> None:
    monkeypatch.setattr(stop_answer, "LONGEST_BETWEEN_LOOKS", 0.05)
    asked, done = [], []
    monkeypatch.setattr(
        stop_answer, "_ask_main_thread", lambda number: (asked.append(number), os.kill(os.getpid(), number))
    )

    def work() -> None:
        try:
            translate(signal.SIGTERM)
        finally:
            while len(asked) < 3:
                time.sleep(0.01)
            done.append("in order")

    assert status_of(work) == 143
    assert done == ["in order"]


def test_a_second_stop_of_the_person_interrupts_it() -> None:
    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(600)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(600)

    assert status_of(work) == 130


COMMAND = """
import atexit, os, signal, sys, time
from cyclopts import App
from autoseg.commands import exit_status, stopped
from autoseg.machine.stop_answer import StopAnswer

def stop(*_):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(600)

def work():
    if {stops}:
        stop()

{moment}
app = App(suppress_keyboard_interrupt=False)
app.command(work)
sys.exit(exit_status.run_command(app, ["work"]))
"""

BEFORE = "begin, StopAnswer.begin = StopAnswer.begin, lambda self: (begin(self), stop())"
MESSAGE = "stopped.stopped_message = stop"
IN_C = "from tests.stopped_in_c import translate; stop = lambda: translate(signal.SIGINT)"
AT_EXIT = "atexit.register(stop)"
KEPT = "Stopped. What is finished is kept; the same command goes on from there.\n"
NOTHING = "Stopped. Nothing is begun yet; the same command begins at the start.\n"


@pytest.mark.parametrize(
    ("moment", "stops", "said"),
    [
        pytest.param(BEFORE, False, NOTHING, id="before the command works"),
        pytest.param(IN_C, True, KEPT, id="in a library in C"),
        pytest.param(MESSAGE, True, KEPT, id="again during the message"),
        pytest.param(AT_EXIT, True, KEPT, id="again at exit"),
        pytest.param(AT_EXIT, False, "", id="at exit of a finished command"),
    ],
)
def test_at_any_moment_a_stop_is_one_sentence_and_its_status(moment: str, stops: bool, said: str) -> None:
    code = COMMAND.format(moment=moment, stops=stops)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", cwd=ROOT, timeout=300)
    assert (ended.returncode, ended.stderr) == (130, said)
