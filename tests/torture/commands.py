"""Commands in processes of their own that begin with the libraries loaded, so that hundreds of attempts take minutes.

A crash, a hang or a cache of one command cannot reach the next one, nor the process that asks.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.commands.cli import status_of

LOADED = ("autoseg.commands.run", "autoseg.commands.study", "planner.preprocess", "trainer.fold", "inference.predict")
CRASHED = 70
"""Exit status of a command that ended in an exception which is no message to the user."""

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([*LOADED, "inference.selection.select", "inference.study.write", __name__])


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Args:
        status: its exit status; negative for a signal, None where it had to be ended because it took too long.
        said: what it printed, on one line.
    """

    status: int | None
    said: str

    @property
    def is_clean(self) -> bool:
        """Whether it was carried out, or refused with a message."""
        return self.status in (0, 1, 2) and "Traceback" not in self.said


def carry_out(
    *arguments: str | Path, log: Path, seconds: float = 120, prepare: Callable[[], None] | None = None
) -> Ended:
    """Carry out a command of autoseg.

    Args:
        arguments: arguments of the command line.
        log: file for what the command prints; it is replaced.
        seconds: time after which the command is ended by force.
        prepare: function called in the command's process before it begins.
    """
    process = CONTEXT.Process(target=_carry_out, args=([str(argument) for argument in arguments], log, prepare))
    process.start()
    process.join(seconds)
    status = process.exitcode
    if status is None:
        os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()
    process.close()
    return Ended(status, " ".join(log.read_text(encoding="utf-8", errors="replace").split()))


def _carry_out(arguments: Sequence[str], log: Path, prepare: Callable[[], None] | None) -> None:
    os.setsid()
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        if prepare is not None:
            prepare()
        status = status_of(arguments)
    except BaseException:
        traceback.print_exc()
        status = CRASHED
    sys.stdout.flush()
    sys.stderr.flush()
    # what the interpreter would still do at its end belongs to the test's process
    os._exit(status)
