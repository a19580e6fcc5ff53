"""A stop that comes while Python cleans something up, where its exception is ignored, still stops the command."""

import os
import signal
import time
from collections.abc import Iterator

import pytest
from cyclopts import App

from autoseg.commands.exit_status import run_command


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Put the handlers of signals back after the test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    # under nohup the tests themselves would have SIGHUP ignored
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Cleaned:
    """An object during whose clean-up a signal comes, a number of times."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)
        # the handler is called between two calls
        time.sleep(0)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
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
