"""Other programs that compute: busy loops, each on a core, which end with the block that has them.

    python benchmarks/busy.py PARENT    # one loop, as long as the process PARENT, which started it, lives

However whoever started a loop dies, the loop sees it and ends too. Imports nothing but Python's own library, so that a
loop computes a moment after it was asked for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from types import TracebackType
from typing import Self

TURNS_BETWEEN_LOOKS = 100_000
"""Of a loop, some milliseconds: looking at its parent is next to nothing of its work."""


class BusyLoops:
    """As many programs that compute as were last asked for; none after the block."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def set(self, count: int) -> None:
        """Start or end loops, so that there are `count`."""
        while len(self._running) < count:
            # isolated: nothing beside this file takes the place of a module of Python's
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
    """Compute on one core until the parent has died, whose children another process then gets."""
    while os.getppid() == parent:
        for _ in range(TURNS_BETWEEN_LOOKS):
            pass


if __name__ == "__main__":
    compute_while_alive(int(sys.argv[1]))
