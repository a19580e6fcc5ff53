"""Answers Ctrl-C before a command begins, while its modules are imported, which takes seconds.

An exception there would end in a traceback, or in a library that takes it for an error of its own. Nothing is made yet
and no process is started, so that the process may end at once. Only the standard library is imported here.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

TOLD = "Stopped. Nothing is begun yet; the same command begins at the start."
STOPPED = "Stopped. What is finished is kept; the same command goes on from there."
"""What holds of every command that was stopped."""


def stop_at_once() -> None:
    """From now on Ctrl-C ends the process, with one sentence and exit status 130.

    Where Ctrl-C is ignored, as in the background of a script, it stays so. Python lets the main thread alone change it.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def end_at_once(number: int, words: str) -> None:
    """End this process without an exception, with the exit status of a signal.

    Args:
        number: number of the signal.
        words: what is said on standard error; empty = nothing.
    """
    try:
        if words:
            os.write(2, f"{words}\n".encode())
    finally:
        # the terminal may be closed
        os._exit(128 + number)


def _end(number: int, frame: FrameType | None) -> None:
    end_at_once(number, TOLD)
