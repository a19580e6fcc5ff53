"""Functions in C in which a signal comes: one makes another error of the stop's exception, the other loses it.

Both are SQLite's, which calls back into Python, as matplotlib and torch do.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from autoseg.machine.stop_answer import stops_answered


@contextmanager
def at_work() -> Iterator[None]:
    """The block is answered stops as a command is that works."""
    with stops_answered() as answer:
        answer.is_at_work = True
        try:
            yield
        finally:
            answer.is_at_work = False


def _signal(number: int) -> None:
    os.kill(os.getpid(), number)
    # Python answers between two calls
    time.sleep(0)


def translate(number: int) -> None:
    """Raise `sqlite3.OperationalError`, which knows nothing of the exception that a signal has raised.

    Args:
        number: number of the signal; 0 = none comes, and the error has another cause.
    """

    def function() -> None:
        _signal(number)
        raise ZeroDivisionError

    connection = sqlite3.connect(":memory:")
    connection.create_function("function", 0, function)
    connection.execute("select function()").fetchall()


def drop(number: int) -> None:
    """Return as if no signal had come."""
    connection = sqlite3.connect(":memory:")
    connection.set_trace_callback(lambda _: _signal(number))
    connection.execute("select 1").fetchall()
