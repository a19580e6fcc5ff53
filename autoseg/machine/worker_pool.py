"""Spawned processes that work off a list of items, of which each may die without taking the rest along.

Unlike `concurrent.futures`, a process that dies (killed by the system for want of memory, say) is
known with the item it worked on; that item is tried once more, alone. The processes end with their
parent, also when it is killed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

from threadpoolctl import threadpool_limits

from autoseg.errors import WorkerDied

Item = TypeVar("Item")
Result = TypeVar("Result")
SPAWN = multiprocessing.get_context("spawn")


def completed(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    *,
    name: Callable[[Item], str],
    tell: Callable[[str], None],
) -> Iterator[tuple[int, Result]]:
    """Index and result of each item, as they are completed by `workers` spawned processes.

    Args:
        function: picklable, as are the items and results.
        items: one call each.
        workers: processes at most.
        name: of an item, for messages.
        tell: shows a message; called when a process has died and its item will be tried again.

    Raises:
        WorkerDied: a process died again on an item that it was given alone.
        Exception: whatever `function` raises, the worker's traceback as a note.
    """
    died: list[int] = []
    for index, result in _work_off(function, items, range(len(items)), workers):
        if isinstance(result, _Death):
            tell(f"{name(items[index])}: its process {result.cause}; it is tried once more alone, after the others")
            died.append(index)
        else:
            yield index, result
    for index, result in _work_off(function, items, sorted(died), 1):
        if isinstance(result, _Death):
            raise WorkerDied(
                f"{name(items[index])}: its process {result.cause}, also when it was tried once more alone; "
                f"{result.advice}"
            )
        yield index, result


class _Death:
    """In place of a result: the process ended without giving one."""

    def __init__(self, exit_code: int | None) -> None:
        self.cause = f"ended by itself with status {exit_code}"
        self.advice = "free some memory or leave this case out"
        if exit_code == 1:
            # a spawned process imports the script that started it, and ends so where that starts processes again
            self.advice += '; in a script of your own call autoseg below `if __name__ == "__main__":`'
        if exit_code is not None and exit_code < 0:
            self.cause = f"was ended by {signal.Signals(-exit_code).name}"
            if exit_code == -9:
                self.cause += ", which the system does when memory runs out"


def _work_off(
    function: Callable[[Item], Result], items: Sequence[Item], indices: Sequence[int], workers: int
) -> Iterator[tuple[int, Result | _Death]]:
    waiting = deque(indices)
    pool: list[_Worker[Item, Result]] = []
    try:
        while waiting or any(worker.item is not None for worker in pool):
            while waiting and len(pool) < workers:
                pool.append(_Worker(function))
            for worker in pool:
                if waiting and worker.item is None:
                    worker.give(waiting[0], items[waiting.popleft()])
            busy = {worker.connection: worker for worker in pool if worker.item is not None}
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                index = worker.item
                assert index is not None
                result = worker.take()
                if isinstance(result, _Death):
                    pool.remove(worker)
                yield index, result
    finally:
        for worker in pool:
            worker.stop()


class _Worker(Generic[Item, Result]):
    """One process; `item` is the index of what it works on, None while it is idle."""

    def __init__(self, function: Callable[[Item], Result]) -> None:
        self.connection, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=_serve, args=(theirs, function), daemon=True)
        self.process.start()
        theirs.close()
        self.item: int | None = None

    def give(self, index: int, item: Item) -> None:
        """Start work on an item."""
        self.item = index
        # a process that is already gone shows when its result is taken
        with contextlib.suppress(OSError):
            self.connection.send(item)

    def take(self) -> Result | _Death:
        """The result of the item it was given; raises what the function raised."""
        self.item = None
        try:
            result, error, trace = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            return _Death(self.process.exitcode)
        if error is not None:
            error.add_note(f"in a worker process:\n{trace}")
            raise error
        return result

    def stop(self) -> None:
        """End the process: at once if it is busy."""
        self.connection.close()
        if self.item is not None:
            self.process.terminate()
        self.process.join()


def _serve(connection: Connection, function: Callable) -> None:
    """A worker's life: items in, results out, until the parent closes the connection or dies."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Ctrl-C reaches the whole group; the parent alone decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with threadpool_limits(limits=1), contextlib.suppress(EOFError, OSError):
        while True:
            item = connection.recv()
            answer: tuple[object, Exception | None, str]
            try:
                answer = (function(item), None, "")
            except Exception as error:
                answer = (None, _sendable(error), traceback.format_exc())
            del item
            connection.send(answer)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _sendable(error: Exception) -> Exception:
    """The error itself if it survives the way to the parent, else one with its text."""
    try:
        copy = multiprocessing.reduction.ForkingPickler.loads(multiprocessing.reduction.ForkingPickler.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error if str(copy) == str(error) else RuntimeError(f"{type(error).__name__}: {error}")
