"""A pool of spawned processes that work through a list of items; a process that dies does not stop the others.

Unlike in `concurrent.futures`, it is known which item a process worked on when it died, for example when the
system killed it for lack of memory. That item is tried once more, alone. The processes end with their parent, even
if it is killed.
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
from autoseg.machine.passing_files import MORE_SHARED_MEMORY, SHARED_MEMORY
from autoseg.machine.processes import WORKERS, start
from autoseg.machine.stop_signals import leave_stopping_to_the_parent

Item = TypeVar("Item")
Result = TypeVar("Result")


def completed(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    *,
    name: Callable[[Item], str],
    tell: Callable[[str], None],
) -> Iterator[tuple[int, Result]]:
    """Yield index and result of each item in the order in which spawned processes complete them.

    Args:
        function: function of one item; it must be picklable, as must be the items and the results.
        items: arguments of the calls.
        workers: largest number of processes.
        name: function that names an item in messages.
        tell: function that shows a message; it is called when a process has died and its item will be tried again.

    Raises:
        WorkerDied: a process died also in the second attempt, in which its item is tried alone.
        Exception: whatever `function` raises, with the worker's traceback as a note.
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
    """Stands in place of a result where the process ended without giving one."""

    def __init__(self, exit_code: int | None) -> None:
        self.cause = cause_of_end(exit_code)
        lacks_memory = exit_code == -signal.SIGKILL
        self.advice = "free some memory or leave this case out" if lacks_memory else "leave this case out to go on"


def cause_of_end(exit_code: int | None) -> str:
    """Return in words how a worker process ended that gave no result.

    Args:
        exit_code: exit status as multiprocessing has it, with a minus for the number of a signal.
    """
    if exit_code is None or exit_code >= 0:
        return f"ended by itself with status {exit_code}; what it printed before tells why"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    why = {
        "SIGKILL": ", which the system does when memory runs out",
        "SIGBUS": f", which happens where the disk of a file or {SHARED_MEMORY} is full; {MORE_SHARED_MEMORY}",
    }
    return f"was ended by {name}{why.get(name, '')}"


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
    """One process; `item` is the index of the item that it works on, None while it is idle."""

    def __init__(self, function: Callable[[Item], Result]) -> None:
        self.connection, theirs = WORKERS.Pipe()
        self.process = WORKERS.Process(target=_serve, args=(theirs, function), daemon=True)
        start(self.process)
        theirs.close()
        self.item: int | None = None

    def give(self, index: int, item: Item) -> None:
        """Send an item to the process, which starts to work on it."""
        self.item = index
        # a process that has already ended is noticed when its result is taken
        with contextlib.suppress(OSError):
            self.connection.send(item)

    def take(self) -> Result | _Death:
        """Return the result of the item that the process was given, or raise what the function raised."""
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
        """End the process; a busy process is terminated."""
        self.connection.close()
        if self.item is not None:
            self.process.terminate()
        self.process.join()


def _serve(connection: Connection, function: Callable) -> None:
    """Main function of a worker: receive items and send results until the parent closes the connection or dies."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    leave_stopping_to_the_parent()
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
    """The error itself if it can be pickled without loss, else a `RuntimeError` with its text."""
    try:
        copy = multiprocessing.reduction.ForkingPickler.loads(multiprocessing.reduction.ForkingPickler.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error if str(copy) == str(error) else RuntimeError(f"{type(error).__name__}: {error}")
