"""Signals that ask a process to end, and those that only the parent of worker processes answers."""

from __future__ import annotations

import signal


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals beside Ctrl-C that ask this process to end cleanly.

    SIGHUP comes when the terminal is closed or the connection is lost. Under `nohup` it is ignored, and stays so.
    Windows has none.
    """
    hang_up: signal.Signals | None = getattr(signal, "SIGHUP", None)
    if hang_up is None or signal.getsignal(hang_up) is signal.SIG_IGN:
        return (signal.SIGTERM,)
    return (signal.SIGTERM, hang_up)


def leave_stopping_to_the_parent() -> None:
    """Ignore Ctrl-C and a closed terminal in this worker: both reach every process, and the parent decides."""
    for name in ("SIGINT", "SIGHUP"):
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, signal.SIG_IGN)
