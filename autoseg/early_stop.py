"""Answers Ctrl-C before a command begins, while its modules are imported, which takes seconds.

An exception there would end in a traceback, or in a library that takes it for an error of its own. Nothing is made yet
and no process is started, so that the process may end at once. Only the standard library is imported here.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

TOLD = "Stopped. Nothing is begun yet; the same command begins at the start.\n"


def stop_at_once() -> None:
    """From now on Ctrl-C ends the process, with one sentence and exit status 130.

    Where Ctrl-C is ignored, as in the background of a script, it stays so.
    """
    if _answers(signal.default_int_handler):
        signal.signal(signal.SIGINT, _end)


def stop_by_exception() -> None:
    """From now on Ctrl-C raises `KeyboardInterrupt` again, so that what is begun is put in order."""
    if _answers(_end):
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _answers(handler: object) -> bool:
    """Whether this is what answers Ctrl-C; Python lets the main thread alone change it."""
    return threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is handler


def _end(number: int, frame: FrameType | None) -> None:
    try:
        os.write(2, TOLD.encode())
    finally:
        # the terminal may be closed
        os._exit(128 + number)
