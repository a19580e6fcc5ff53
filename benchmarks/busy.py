"""Busy loops that stand for other programs: each is a process that keeps one core busy.

    python benchmarks/busy.py PARENT    # one loop, as long as the process PARENT, which started it, lives

A loop ends when the process that started it ends, even if that is killed. This module imports only Python's standard
library, so that a loop starts to compute at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from types import TracebackType
from typing import Self

TURNS_BETWEEN_LOOKS = 100_000
"""Turns of a loop between two checks of its parent: some milliseconds, so that checks take almost no time."""


class BusyLoops:
    """Context manager that keeps the requested number of busy loops running; leaving it ends all of them."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def set(self, count: int) -> None:
        """Start or end loops, so that `count` loops run."""
        while len(self._running) < count:
            # -I (isolated mode): no file beside this one can hide a module of the standard library
            command = [sys.executable, "-I", __file__, str(os.getpid())]
            self._running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))
        while len(self._running) > count:
            process = self._running.pop()
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.set(0)


def compute_while_alive(parent: int) -> None:
    """Compute on one core until the process `parent` has ended; this process then has another parent."""
    while os.getppid() == parent:
        for _ in range(TURNS_BETWEEN_LOOKS):
            pass


if __name__ == "__main__":
    compute_while_alive(int(sys.argv[1]))
