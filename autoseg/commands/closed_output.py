"""What is printed into a pipe that nobody reads any more, as in `autoseg ... | head`."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence
from contextlib import suppress

OUTPUT_CLOSED = 141
"""Exit status where whoever reads what is printed has ended: that of a program which SIGPIPE (13) ends, 128 + 13."""


def print_all() -> None:
    """Print what is still held back on standard output, while an error of that has somebody to answer it.

    Raises:
        BrokenPipeError: nobody reads it any more.
    """
    # a program's own object may have nothing but `write`, and a program without a terminal has none
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()


def is_of_closed_output(error: BaseException) -> bool:
    """Whether an error says that nobody reads any more what is printed; pipes between processes break too."""
    if isinstance(error, SystemExit):
        # of the console that prints the help: rich ends the program itself
        return isinstance(error.__context__, BrokenPipeError)
    return isinstance(error, BrokenPipeError) and bool(closed_outputs())


def closed_outputs() -> tuple[int, ...]:
    """Descriptors of standard output and error that are pipes whose reader has ended; empty where this is not known."""
    if not hasattr(select, "poll"):
        return ()
    looked = select.poll()
    for stream in (sys.stdout, sys.stderr):
        # a program's own object has no descriptor
        with suppress(AttributeError, OSError, ValueError):
            looked.register(stream.fileno(), 0)
    return tuple(descriptor for descriptor, event in looked.poll(0) if event & select.POLLERR)


def leave_unprinted(closed: Sequence[int]) -> None:
    """Let what is still to be printed there go nowhere, so that the interpreter's end says nothing of it either.

    Args:
        closed: descriptors whose readers have ended.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in closed:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
