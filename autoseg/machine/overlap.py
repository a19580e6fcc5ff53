"""Works through cases in three parts that overlap: prepare the next, compute the present, finish the one before.

In: cases, and a function for each part. Out: what the last part returns, in the order of the cases. A device computes
while processors read, resample and write, so that it need not wait for them. The present case stays in the calling
thread, which alone shows progress, answers signals and uses the device; the two other parts have a thread each. At most
one case is in each part. NumPy, SimpleITK and torch release the interpreter's lock while they work, so that threads
suffice and nothing is copied between processes.

The parts of one case run one after the other, and a part runs for one case at a time. So results are those of the parts
in sequence, to the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch

from autoseg.machine.stop_answer import raise_if_stopped
from autoseg.memory import free_memory

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")
Computed = TypeVar("Computed")
Result = TypeVar("Result")

SHARE_OF_FREE_MEMORY = 0.75
"""All cases that are worked on at once may take this share of the memory that was free before them."""


OVERLAPPING = frozenset({"cuda", "mps"})
"""Types of devices beside which the other parts run.

On a CPU the parts would take cores from the network, whose threads wait for the one that lost its core: a step beside
another busy thread takes three times as long (docs/experiments/threads.md).
"""


def one_at_a_time(_: Sequence[object]) -> bool:
    """Never allow two cases at once: the parts run in sequence, all in the calling thread."""
    return False


def may_overlap(device: torch.device, bytes_of: Callable[[Item], int | None]) -> Callable[[Sequence[Item]], bool]:
    """Return the argument `together` of `overlapped` for cases that a device computes.

    Args:
        device: device that computes.
        bytes_of: largest memory in bytes that an item takes in any part; None = unknown, the item is worked on alone.
    """
    return WithinMemory(bytes_of) if device.type in OVERLAPPING else one_at_a_time


class WithinMemory(Generic[Item]):
    """Tells whether the free memory holds several cases at once; for the argument `together` of `overlapped`.

    Args:
        bytes_of: largest memory in bytes that an item takes in any part; None = unknown, the item is worked on alone.
    """

    def __init__(self, bytes_of: Callable[[Item], int | None]) -> None:
        self._bytes_of = bytes_of
        self._free = free_memory()
        # by identity, since items live as long as the loop and need not be hashable
        self._known: dict[int, int | None] = {}

    def __call__(self, items: Sequence[Item]) -> bool:
        """Whether all items fit; all but the last may have been begun, so that they hold a part of their memory."""
        for item in items:
            if id(item) not in self._known:
                self._known[id(item)] = self._asked(item)
        needed = [self._known[id(item)] for item in items]
        known = [number for number in needed if number is not None]
        return (
            len(known) == len(needed)
            and sum(known) <= SHARE_OF_FREE_MEMORY * self._free
            # other programs may have taken memory since the beginning
            and known[-1] <= SHARE_OF_FREE_MEMORY * free_memory()
        )

    def _asked(self, item: Item) -> int | None:
        try:
            return self._bytes_of(item)
        except Exception:
            # what is wrong with the item is told when it is prepared, and concerns no other one
            return None


def overlapped(
    items: Sequence[Item],
    prepare: Callable[[Item], Prepared],
    compute: Callable[[Item, Prepared], Computed],
    finish: Callable[[Item, Computed], Result],
    *,
    together: Callable[[Sequence[Item]], bool],
    failed: Callable[[Item, Exception], Result] | None = None,
) -> list[Result]:
    """Apply three functions to every item, to up to three items at once.

    What `prepare` and `compute` return stays in memory until the part that gets it has ended. A part that has to free
    memory earlier is given an object that it can empty.

    Args:
        items: cases, in the order in which they are computed and finished.
        prepare: first part; it runs while the item before is computed. Where it fails meanwhile, it is called once
            more, alone, since memory may not have sufficed for both.
        compute: second part; it runs in the calling thread.
        finish: last part; it runs while the item after is computed.
        together: whether two or three items that follow each other may be worked on at once, as `WithinMemory` tells.
            Where it says no, a part waits until those before it have ended.
        failed: result of an item of which a part raised an error; it is called in this thread, and the other items go
            on. None = the error is raised.

    Returns:
        The result of each item.

    Raises:
        BaseException: the first error by the order of items, as in sequence; no later item is finished. Parts that
            run in other threads are waited for, also after Ctrl-C, so that what they write is complete.
    """
    with ThreadPoolExecutor(1, "prepare") as preparing, ThreadPoolExecutor(1, "finish") as finishing:
        parts = _Parts(items, prepare, compute, finish, together, failed, preparing, finishing)
        for index in range(len(items)):
            parts.work_on(index)
        return [parts.results[index] for index in range(len(items))]


@dataclass
class _Parts(Generic[Item, Prepared, Computed, Result]):
    """The functions, the threads, and what runs in these: `ahead` the next item, `behind` the one before."""

    items: Sequence[Item]
    prepare: Callable[[Item], Prepared]
    compute: Callable[[Item, Prepared], Computed]
    finish: Callable[[Item, Computed], Result]
    together: Callable[[Sequence[Item]], bool]
    failed: Callable[[Item, Exception], Result] | None
    preparing: ThreadPoolExecutor
    finishing: ThreadPoolExecutor
    ahead: Future[Prepared] | None = None
    behind: tuple[int, Future[Result]] | None = None
    results: dict[int, Result] = field(default_factory=dict)

    def work_on(self, index: int) -> None:
        """Take an item to its last part, in which it may still be when this returns."""
        try:
            computed = self._computed(index)
        except Exception as error:
            # an error of the item before comes first
            self._end_behind()
            self._fail(index, error)
            return
        self._end_behind()
        following = self.items[index + 1 : index + 2]
        if following and self.together([self.items[index], *following]):
            # the block of a lock, and with it the folder for temporary files, is known by the context
            work = self.finishing.submit(copy_context().run, self.finish, self.items[index], computed)
            self.behind = (index, work)
            return
        try:
            self.results[index] = self.finish(self.items[index], computed)
        except Exception as error:
            self._fail(index, error)

    def _computed(self, index: int) -> Computed:
        prepared = self._prepared(index)
        following = self.items[index + 1 : index + 2]
        unfinished = [self.items[self.behind[0]]] if self.behind and not self.behind[1].done() else []
        if following and self.together([*unfinished, self.items[index], *following]):
            self.ahead = self.preparing.submit(copy_context().run, self.prepare, following[0])
        return self.compute(self.items[index], prepared)

    def _prepared(self, index: int) -> Prepared:
        # a future that is kept would keep its result in memory
        ahead, self.ahead = self.ahead, None
        if ahead is not None:
            try:
                return ahead.result()
            except Exception:
                # perhaps memory did not suffice beside the others, whatever error it became
                pass
            # its error holds what the failed attempt had read
            del ahead
            self._end_behind()
        elif self.behind is not None and not self.together([self.items[self.behind[0]], self.items[index]]):
            self._end_behind()
        return self.prepare(self.items[index])

    def _end_behind(self) -> None:
        """Wait until the item before is finished, and take its result."""
        behind, self.behind = self.behind, None
        if behind is not None:
            try:
                self.results[behind[0]] = behind[1].result()
            except Exception as error:
                self._fail(behind[0], error)

    def _fail(self, index: int, error: Exception) -> None:
        raise_if_stopped(error)
        if self.failed is None:
            raise error
        self.results[index] = self.failed(self.items[index], error)
