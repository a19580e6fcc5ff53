"""The number of threads that torch computes with on a CPU: fixed by the user, or adapted to other programs.

A thread that waits for the other threads of its pool keeps its core busy, which is fastest while every thread has
a core. Where another program computes on one of the cores, all threads wait for the one that has lost its core,
and a step takes three to forty times as long. With one thread fewer, the step only lacks the work of one core
(docs/experiments/threads.md).
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

SECONDS_BETWEEN_CHECKS = 0.5
"""Seconds between two readings of what other programs use; the system counts in hundredths of a second."""

CHECKS_THAT_AGREE = 2
"""Consecutive readings with too few free cores before the number of threads is reduced."""

SECONDS_BEFORE_MORE, MOST_SECONDS_BEFORE_MORE = 3.0, 60.0
"""Least and largest number of seconds for which cores must have been free before threads are added again.

The wait doubles when added threads must soon be given up again, and halves when they are given up later.
"""


@cache
def default_threads() -> int:
    """Return the number of threads that torch had before this module changed it."""
    return torch.get_num_threads()


class Threads:
    """The number of torch's threads, adapted repeatedly to the cores that other programs leave free.

    Args:
        fixed: number of threads that the user fixed; None = as many as other programs leave cores for, and at most
            torch's own number.
        others: meter of the cores that other programs use; None = a new one.
        now: function that returns the seconds of a monotonic clock.
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
        """Whether other programs compute at present, so that measured durations are disturbed."""
        return self.count < self.most or self.used_by_others >= DISTURBING

    @property
    def why(self) -> str:
        """Reason for the present number of threads, in words for the user."""
        if self._fixed:
            return "as asked"
        if self.used_by_others < DISTURBING and self.count == self.most:
            return "as many as this machine has free"
        return f"other programs use {self.used_by_others:.1f} cores"

    def start_with(self, count: int) -> None:
        """Begin with `count` threads of an earlier start, at most those allowed here; a fixed number stays."""
        self.count = self.most if self._fixed else min(count, self.most)

    def choose(self) -> int:
        """Return the number of threads to continue with.

        It may be called often, since a reading of other programs is taken every half second at most.
        """
        if self._fixed or self._others.seconds_since < SECONDS_BETWEEN_CHECKS:
            return self.count
        self.used_by_others = self._others.measure().others
        # other programs that use up to half a core cost no thread: the scheduler deals with them
        left = max(1, min(self.most, math.floor(available_cores() - self.used_by_others + 0.5)))
        if left < self.count:
            self._free_since = None
            self._fewer.append(left)
            if len(self._fewer) >= CHECKS_THAT_AGREE:
                self.count, self._fewer = max(self._fewer), []
                in_vain = self._now() - self._taken_back_at < MOST_SECONDS_BEFORE_MORE
                patience = self._patience * (2 if in_vain else 0.5)
                self._patience = min(max(patience, SECONDS_BEFORE_MORE), MOST_SECONDS_BEFORE_MORE)
            return self.count
        self._fewer = []
        self._take_back(left)
        return self.count

    def follow(self, *_: object) -> None:
        """Set torch's number of threads to that of `choose`.

        It is called between parts of work whose results may differ in their last bits with the number of threads.
        """
        torch.set_num_threads(self.choose())

    def _take_back(self, left: int) -> None:
        """Add threads once cores have been free for long enough."""
        now = self._now()
        if left == self.count:
            self._free_since = None
        elif self._free_since is None:
            self._free_since = now
        elif now - self._free_since >= self._patience:
            self.count, self._free_since, self._taken_back_at = left, None, now


@contextmanager
def computing_with(fixed: int | None) -> Iterator[Threads]:
    """Give a block its `Threads`, and restore torch's former number of threads when the block ends.

    Args:
        fixed: number of threads that the user fixed; None = as many as other programs leave cores for.
    """
    default_threads()
    before = torch.get_num_threads()
    threads = Threads(fixed)
    torch.set_num_threads(threads.count)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)
