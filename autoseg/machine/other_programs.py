"""How much of this machine's cores other programs use, and this one.

Read from the system's own account of each core, less what this process and its children used. On a
virtual machine what its host gives to others counts as theirs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil

from autoseg.machine.cores import usable_cores

DISTURBING = 0.25
"""Cores used by other programs from which a time that was measured meanwhile is not the machine's."""

IDLE = ("idle", "iowait", "guest", "guest_nice")
"""Times of a core that are no work, or counted a second time."""


@dataclass(frozen=True)
class Usage:
    """What was used between two looks.

    Args:
        seconds: of wall time that passed between the two looks.
        others: cores that other programs used, on average.
        own: cores that this process and its children used, on average.
    """

    seconds: float
    others: float
    own: float


class OtherPrograms:
    """Looks at the cores that this process may use.

    Args:
        busy: core seconds of all programs so far, on these cores.
        own: of them, this process and its children.
        now: seconds.
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
        """Since the last look."""
        return self._now() - self._last[0]

    def look(self) -> Usage:
        """What was used since the last look."""
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
        # a system that tells nothing of others: they are taken for idle
        return 0.0
    numbers = usable_cores()
    used = [cores[n] for n in numbers if n < len(cores)] or cores
    return sum(value for core in used for name, value in core._asdict().items() if name not in IDLE)


def _own_seconds() -> float:
    process = psutil.Process()
    times = process.cpu_times()
    # of children that have ended the system keeps the sum, where it keeps one
    total = times.user + times.system + getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    with suppress(OSError, psutil.Error):
        for child in process.children(recursive=True):
            with suppress(psutil.Error):
                of_child = child.cpu_times()
                total += of_child.user + of_child.system
    return total
