"""Commands in processes of their own that begin with the libraries loaded, so that hundreds of attempts take minutes.

A crash, a hang or a cache of one command cannot reach the next one, nor the process that asks.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tests
from autoseg.commands.cli import status_of
from autoseg.early_stop import stop_at_once

ROOT = Path(tests.__file__).parents[1]
LOADED = ("autoseg.commands.run", "autoseg.commands.study", "planner.preprocess", "trainer.fold", "inference.predict")
LOADED_LATER = ("torch._dynamo", "matplotlib.figure", "matplotlib.backends.backend_agg")
"""What training loads where it makes an optimiser and where it draws, which takes seconds."""
CRASHED = 70
"""Exit status of a command that ended in an exception which is no message to the user."""

BEGIN = """
import runpy, sys
from autoseg.early_stop import stop_at_once
stop_at_once()
print(flush=True)
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
"""Says by an empty line that Ctrl-C is answered from now on, and runs a module: Python starts for a while before it."""

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [*LOADED, *LOADED_LATER, "inference.selection.select", "inference.study.write", __name__]
)


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
    *arguments: str | Path, log: Path, seconds: float = 600, prepare: Callable[[], None] | None = None
) -> Ended:
    """Carry out a command of autoseg to its end.

    Args:
        arguments: arguments of the command line.
        log: file for what the command prints; it is replaced.
        seconds: time after which the command is ended by force.
        prepare: function called in the command's process before it begins.
    """
    process = Forked([str(argument) for argument in arguments], log, prepare)
    status = process.wait(seconds)
    if status is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(seconds)
    return Ended(status, said(log))


class Forked:
    """A command in a process that begins with the libraries loaded, in a session of its own.

    Args:
        arguments: arguments of the command line.
        log: file for what the command prints; it is replaced.
        prepare: function called in the command's process before it begins.
    """

    def __init__(self, arguments: Sequence[str], log: Path, prepare: Callable[[], None] | None = None) -> None:
        log.unlink(missing_ok=True)
        self._process = CONTEXT.Process(target=_carry_out, args=(list(arguments), log, prepare))
        self._process.start()
        # a signal to its session needs the session, which begins before the first line is printed
        while not log.exists() and self._process.exitcode is None:
            time.sleep(0.002)
        assert self._process.pid is not None
        self.pid = self._process.pid

    def wait(self, seconds: float) -> int | None:
        """Return its exit status once it has ended; None if that takes longer. Signals are negative."""
        self._process.join(max(0.0, seconds))
        return self._process.exitcode


class Started:
    """A command in a new process of Python, in a session of its own; it answers Ctrl-C from the beginning.

    Args:
        arguments: name of a module, and its arguments.
        log: file for what the command prints; it is replaced.
        temporary: folder for temporary files.
    """

    def __init__(self, arguments: Sequence[str], log: Path, temporary: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-c", BEGIN, *arguments],
                cwd=ROOT,
                env=environment,
                stdout=file,
                start_new_session=True,
                **streams,
            )
        self.pid = self._process.pid
        while not log.stat().st_size and self._process.poll() is None:
            time.sleep(0.002)

    def wait(self, seconds: float) -> int | None:
        """Return its exit status once it has ended; None if that takes longer. Signals are negative."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(max(0.0, seconds))
        return None


def said(log: Path) -> str:
    """What a command printed, on one line."""
    return " ".join(log.read_text(encoding="utf-8", errors="replace").split())


def _carry_out(arguments: Sequence[str], log: Path, prepare: Callable[[], None] | None) -> None:
    os.setsid()
    # signals come once there is a log
    stop_at_once()
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
