"""How much of this machine's cores other programs use, and how much this process uses.

The system reports the busy time of each core; what this process and its children used is subtracted. On a
virtual machine, time that the host gives to other machines counts as used by other programs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil

from autoseg.machine.cores import usable_cores

DISTURBING = 0.25
"""From this number of cores used by other programs on, a duration measured meanwhile is considered disturbed."""

IDLE = ("idle", "iowait", "guest", "guest_nice")
"""Kinds of core time that do not count as busy: no work is done, or the time is contained in another kind."""


@dataclass(frozen=True)
class Usage:
    """Use of the cores between two readings.

    Args:
        seconds: wall time between the two readings, in seconds.
        others: mean number of cores that other programs used.
        own: mean number of cores that this process and its children used.
    """

    seconds: float
    others: float
    own: float


class OtherPrograms:
    """A meter of how many of the cores that this process may use are used by other programs.

    Args:
        busy: function that returns the core seconds that all programs have used so far on these cores; None = as
            the system reports them.
        own: function that returns the core seconds that this process and its children have used so far; None = as
            the system reports them.
        now: function that returns the seconds of a monotonic clock.
    """

    def __init__(
        self,
        busy: Callable[[], float] | None = None,
        own: Callable[[], float] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._busy, self._own, self._now = busy or _busy_seconds, own or _own_seconds, now
        self._last = self._read()

    @property
    def seconds_since(self) -> float:
        """Seconds since the last reading."""
        return self._now() - self._last[0]

    def measure(self) -> Usage:
        """Take a reading, and return the use of the cores since the last one."""
        before, now = self._last, self._read()
        self._last = now
        seconds, busy, own = (b - a for a, b in zip(before, now, strict=True))
        if seconds <= 0:
            return Usage(0.0, 0.0, 0.0)
        return Usage(seconds, max(0.0, busy - own) / seconds, max(0.0, own) / seconds)

    def _read(self) -> tuple[float, float, float]:
        return self._now(), self._busy(), self._own()


def _busy_seconds() -> float:
    try:
        cores = psutil.cpu_times(percpu=True)
    except (OSError, psutil.Error):
        # where the system does not report the cores, other programs count as idle
        return 0.0
    numbers = usable_cores()
    used = [cores[n] for n in numbers if n < len(cores)] or cores
    return sum(value for core in used for name, value in core._asdict().items() if name not in IDLE)


def _own_seconds() -> float:
    process = psutil.Process()
    times = process.cpu_times()
    # some systems report the sum over children that have ended
    total = times.user + times.system + getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    with suppress(OSError, psutil.Error):
        for child in process.children(recursive=True):
            with suppress(psutil.Error):
                of_child = child.cpu_times()
                total += of_child.user + of_child.system
    return total
