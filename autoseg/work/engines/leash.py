"""`python -m autoseg.work.engines.leash ARGUMENTS`: autoseg with these arguments, which does not outlive its parent.

The parent holds the other end of standard input. When it closes that end, or dies however it may, this process stops
as by SIGTERM: it saves its state and ends. So a unit whose node is lost leaves nothing behind that still writes.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from _thread import interrupt_main

SECONDS_TO_SAVE = 300.0
"""A process that has not ended this long after it was asked to is ended at once."""


def main() -> None:
    """Run autoseg in this process, on the leash."""
    leash = os.dup(0)
    # what autoseg starts gets an empty standard input, not the leash
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with_parent, args=(leash,), daemon=True, name="leash").start()
    _unblock_stops()
    sys.argv[0] = "autoseg"
    runpy.run_module("autoseg", run_name="__main__")


def _end_with_parent(leash: int) -> None:
    """Wait for the end of the parent, or for its wish; then ask this process to stop, and end it if it does not."""
    while os.read(leash, 1):
        pass
    if hasattr(signal, "pthread_kill"):
        # to the main thread, so that whatever it waits for is interrupted
        signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)  # type: ignore[arg-type]
    else:
        interrupt_main(signal.SIGTERM)
    threading.Event().wait(SECONDS_TO_SAVE)
    os._exit(1)


def _unblock_stops() -> None:
    """Let signals through that the parent holds back from its own process: one that is blocked is inherited so."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
