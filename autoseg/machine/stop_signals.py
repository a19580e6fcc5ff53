"""Signals that ask a process to end, and those that only the parent of worker processes answers."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals beside Ctrl-C that ask this process to end cleanly.

    SIGHUP comes when the terminal is closed or the connection is lost. Under `nohup` it is ignored, and stays so.
    Windows has none.
    """
    hang_up: signal.Signals | None = getattr(signal, "SIGHUP", None)
    if hang_up is None or signal.getsignal(hang_up) is signal.SIG_IGN:
        return (signal.SIGTERM,)
    return (signal.SIGTERM, hang_up)


def start_tracker() -> None:
    """Start the process that cleans up behind workers, which Python would start with the first of them.

    It has to outlive them. By itself it ignores Ctrl-C and SIGTERM, but not a closed terminal. Starting it unblocks
    signals in this process, so that it has to be done before they are held back.
    """
    if not hasattr(signal, "pthread_sigmask"):
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        # a process inherits which signals are blocked
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def held_back_from_new_workers() -> Iterator[None]:
    """Context manager in which processes are started that no stop signal reaches before they are ready for it.

    A terminal or a scheduler sends a signal to the whole process group. A worker imports for seconds before it can say
    which signals it leaves to its parent; until `leave_stopping_to_the_parent` the signals wait. Windows has none.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    start_tracker()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _sent_to_groups())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_stopping_to_the_parent() -> None:
    """Ignore Ctrl-C and a closed terminal in this worker: both reach every process, and the parent decides.

    Signals that were held back since the worker was started come now. A worker with an answer of its own to SIGTERM
    sets it before.
    """
    for name in ("SIGINT", "SIGHUP"):
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _sent_to_groups())


def _sent_to_groups() -> tuple[signal.Signals, ...]:
    """Signals that terminals and schedulers send to all processes of a group."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))
