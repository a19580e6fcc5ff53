"""How many threads torch computes with on a CPU: as many as a person fixed, else as other programs leave cores for.

A thread that waits for the others of its pool spins, which is fastest while every thread has a core. Where
another program computes on one of the cores, all wait for the thread that has lost its core, and a
step takes three to forty times as long. With a thread less it takes its share (docs/experiments/threads.md).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch

from autoseg.machine.cores import available_cores
from autoseg.machine.other_programs import DISTURBING, OtherPrograms

SECONDS_A_LOOK = 0.5
"""Between looks at what other programs use; the system counts in hundredths of a second."""

LOOKS_THAT_AGREE = 2
"""One after another, before threads are given up: what lasts for a second is no moment."""

SECONDS_BEFORE_MORE, MOST_SECONDS_BEFORE_MORE = 3.0, 60.0
"""That cores must have been free before they are taken back: twice as long after every time that it was in vain."""


@cache
def default_threads() -> int:
    """Torch's own number of threads, as it was before anything here changed it."""
    return torch.get_num_threads()


class Threads:
    """The number of torch's threads, looked at again and again.

    Args:
        fixed: by a person; None = as many as other programs leave cores for, and at most torch's own number.
        others: what other programs use.
        now: seconds.
    """

    def __init__(
        self,
        fixed: int | None = None,
        *,
        others: OtherPrograms | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = fixed or default_threads()
        self.count = self.most
        self.used_by_others = 0.0
        self._fixed = fixed is not None
        self._others = others or OtherPrograms()
        self._now = now
        self._fewer: list[int] = []
        self._free_since: float | None = None
        self._patience, self._taken_back_at = SECONDS_BEFORE_MORE, -math.inf

    @property
    def leaves_cores(self) -> bool:
        """Whether other programs compute just now, so that a time is not the machine's."""
        return self.count < self.most or self.used_by_others >= DISTURBING

    @property
    def why(self) -> str:
        """Why there are as many as there are, for a person."""
        if self._fixed:
            return "as asked"
        if self.used_by_others < DISTURBING and self.count == self.most:
            return "as many as this machine has free"
        return f"other programs use {self.used_by_others:.1f} cores"

    def start_with(self, count: int) -> None:
        """Go on with the threads of an earlier start, as far as this machine has them."""
        self.count = self.most if self._fixed else min(count, self.most)

    def look(self) -> int:
        """Threads to go on with. Costs next to nothing; a look is taken every half second at most."""
        if self._fixed or self._others.seconds_since < SECONDS_A_LOOK:
            return self.count
        self.used_by_others = self._others.look().others
        # half a core that is used now and then is left to the scheduler
        left = max(1, min(self.most, math.floor(available_cores() - self.used_by_others + 0.5)))
        if left < self.count:
            self._free_since = None
            self._fewer.append(left)
            if len(self._fewer) >= LOOKS_THAT_AGREE:
                self.count, self._fewer = max(self._fewer), []
                in_vain = self._now() - self._taken_back_at < MOST_SECONDS_BEFORE_MORE
                patience = self._patience * (2 if in_vain else 0.5)
                self._patience = min(max(patience, SECONDS_BEFORE_MORE), MOST_SECONDS_BEFORE_MORE)
            return self.count
        self._fewer = []
        self._take_back(left)
        return self.count

    def follow(self, *_: object) -> None:
        """Look, and let torch have as many: between parts of work whose bits may follow the threads."""
        torch.set_num_threads(self.look())

    def _take_back(self, left: int) -> None:
        """More threads, once there has been room for them for a while."""
        now = self._now()
        if left == self.count:
            self._free_since = None
        elif self._free_since is None:
            self._free_since = now
        elif now - self._free_since >= self._patience:
            self.count, self._free_since, self._taken_back_at = left, None, now


@contextmanager
def computing_with(fixed: int | None) -> Iterator[Threads]:
    """The threads of a block; torch has those that it had before once the block ends.

    Args:
        fixed: by a person; None = as other programs leave cores.
    """
    default_threads()
    before = torch.get_num_threads()
    threads = Threads(fixed)
    torch.set_num_threads(threads.count)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)
