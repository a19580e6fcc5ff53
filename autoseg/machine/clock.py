"""Time in which this process works: wall time without the pauses in which it was stopped.

A laptop that sleeps, SIGSTOP, a virtual machine that is paused, a debugger that waits for a person:
such time is no time of the run and counts towards no budget. A watch looks at the monotonic clock, which a
change of the system's time does not touch, several times a second. Where it was itself kept from
looking for seconds, and the process computed next to nothing meanwhile, the process was stopped.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

SECONDS_BETWEEN_LOOKS = 0.25
LONGEST_BETWEEN_LOOKS = 2.0
"""A busy machine or a library that holds the interpreter's lock delays a look too; it computes meanwhile."""

LEAST_COMPUTED = 0.05
"""Share of a long time between looks that the process computes unless it was stopped."""

_DEBUGGERS = {"pdb.py", "bdb.py", "cmd.py", "pydevd.py"}


class WorkingTime:
    """A clock that stands still while the process is stopped.

    Args:
        wall: seconds of a monotonic clock.
        processor: processor seconds of this process.
        in_debugger: whether a person looks at the process in a debugger just now.
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
        """Seconds of work, counted from an arbitrary moment."""
        with self._lock:
            wall, processor = self._wall(), self._processor()
            passed, computed = wall - self._last_wall, processor - self._last_processor
            stopped = passed > LONGEST_BETWEEN_LOOKS and computed < LEAST_COMPUTED * passed
            if stopped or self._in_debugger():
                self._paused += passed
            self._last_wall, self._last_processor = wall, processor
            return wall - self._paused

    def watch(self) -> None:
        """Look several times a second, in a thread that ends with the process."""
        threading.Thread(target=self._keep_looking, name="working time", daemon=True).start()

    def _keep_looking(self) -> None:
        while True:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            self.now()


def now() -> float:
    """Seconds that this process has worked, counted from an arbitrary moment; differences are durations."""
    return _of_this_process().now()


@cache
def _of_this_process() -> WorkingTime:
    clock = WorkingTime(in_debugger=_main_thread_waits_in_debugger)
    clock.watch()
    return clock


def _main_thread_waits_in_debugger() -> bool:
    """Whether the innermost call of the main thread is a debugger's, which waits for its person."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    return frame is not None and Path(frame.f_code.co_filename).name in _DEBUGGERS
