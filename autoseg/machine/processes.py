"""How worker processes are started, and whether they can be.

A worker is spawned and imports autoseg's own modules alone. Python's usual way imports the script that called autoseg
as well, and a script without `if __name__ == "__main__":` would then begin anew in every worker.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from autoseg.errors import AutosegError
from autoseg.machine.stop_signals import held_back_from_new_workers, start_tracker

_HIDING = threading.Lock()
_SAFE_PATH = "PYTHONSAFEPATH"


class _WorkerProcess(SpawnProcess):
    """A spawned process that does not import the script that started its parent."""

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:
        with _main_module_hidden():
            return SpawnProcess._Popen(process_obj)


class _WorkerContext(SpawnContext):
    Process = _WorkerProcess


WORKERS = _WorkerContext()
"""Context of multiprocessing with which all workers are started; their functions must lie in modules."""


@contextmanager
def _main_module_hidden() -> Iterator[None]:
    """While a process is spawned, put an empty module in place of the script, of which spawn would tell the child."""
    with _HIDING:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = script


def can_start_workers(*, with_queues: bool = False) -> bool:
    """Whether this process can start workers; if not, it has to do their work itself.

    A daemon of multiprocessing may not start any. Where /dev/shm is missing, there are no queues to workers.

    Args:
        with_queues: whether the workers are given their work by queues, which need semaphores, and not by pipes.
    """
    if multiprocessing.current_process().daemon:
        return False
    if not with_queues:
        return True
    # semaphores would start it
    start_tracker()
    try:
        return WORKERS.Lock() is not None
    except (OSError, ImportError):
        return False


@contextmanager
def _current_folder_left_out() -> Iterator[None]:
    """Interpreters that the block starts do not look for modules in the current folder.

    A spawned process searches it first, before it gets the search path of its parent. Who works inside the RUN folder
    of a stranger would run a `pickle.py` that lies there.
    """
    former = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        if former is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = former


@contextmanager
def starting() -> Iterator[None]:
    """Context manager in which workers are started, as every worker has to be."""
    with _current_folder_left_out(), held_back_from_new_workers():
        yield


def start(process: BaseProcess) -> None:
    """Start a process.

    Raises:
        AutosegError: the system allows no further process.
    """
    try:
        with starting():
            process.start()
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.ENOMEM):
            raise
        raise AutosegError(no_more_processes(error)) from None


def no_more_processes(error: OSError) -> str:
    """Return a message for a process that the system refused to start."""
    return (
        f"no further process can be started ({error.strerror}); end other programs, raise the limit of processes "
        "(ulimit -u) or of the batch job, or use fewer workers (--workers 1)"
    )
