"""A clock of the time in which this process works: wall time without the pauses in which it was stopped.

A process is stopped when a laptop sleeps, by SIGSTOP, when a virtual machine is paused, or while a debugger waits
for the user. Such time counts towards no time budget. A thread reads the monotonic clock, which does not follow
changes of the system's time, several times a second. If seconds pass between two reads, and the process used
almost no processor time meanwhile, the process was stopped.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

SECONDS_BETWEEN_READINGS = 0.25
LONGEST_SECONDS_BETWEEN_READINGS = 2.0
"""Only a longer time than this (in seconds) between two reads of the clock can be a stop.

A busy machine, or a library that holds the interpreter's lock, delays a read too, but the process then computes.
"""

LEAST_COMPUTED = 0.05
"""A process that used less processor time than this share of such a long interval was stopped."""

_DEBUGGERS = {"pdb.py", "bdb.py", "cmd.py", "pydevd.py"}


class WorkingTime:
    """A clock that stands still while the process is stopped.

    Args:
        wall: function that returns the seconds of a monotonic clock.
        processor: function that returns the processor seconds that this process has used.
        in_debugger: function that tells whether a debugger waits for the user at this moment.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.process_time,
        in_debugger: Callable[[], bool] = lambda: False,
    ) -> None:
        self._wall, self._processor, self._in_debugger = wall, processor, in_debugger
        self._lock = threading.Lock()
        self._last_wall, self._last_processor = wall(), processor()
        self._paused = 0.0

    def now(self) -> float:
        """Return the seconds of work, counted from an arbitrary moment."""
        with self._lock:
            wall, processor = self._wall(), self._processor()
            passed, computed = wall - self._last_wall, processor - self._last_processor
            stopped = passed > LONGEST_SECONDS_BETWEEN_READINGS and computed < LEAST_COMPUTED * passed
            if stopped or self._in_debugger():
                self._paused += passed
            self._last_wall, self._last_processor = wall, processor
            return wall - self._paused

    def watch(self) -> None:
        """Start a thread that reads the clock several times a second, and that ends with the process."""
        threading.Thread(target=self._keep_reading, name="working time", daemon=True).start()

    def _keep_reading(self) -> None:
        while True:
            time.sleep(SECONDS_BETWEEN_READINGS)
            self.now()


def now() -> float:
    """Return the seconds that this process has worked; only differences of two values have a meaning."""
    return _of_this_process().now()


@cache
def _of_this_process() -> WorkingTime:
    clock = WorkingTime(in_debugger=_main_thread_waits_in_debugger)
    clock.watch()
    return clock


def _main_thread_waits_in_debugger() -> bool:
    """Whether the innermost call of the main thread is in a debugger, which then waits for the user."""
    collects = gc.isenabled()
    # In CPython before 3.11.10 and 3.12.4 the process stands still for ever if garbage is collected within this call
    # (its issue 106883), as their own correction avoids it.
    gc.disable()
    try:
        frame = sys._current_frames().get(threading.main_thread().ident or 0)
    finally:
        if collects:
            gc.enable()
    return frame is not None and Path(frame.f_code.co_filename).name in _DEBUGGERS
