"""Commands on their way to their ends: timed, beside other programs, killed and begun again at given moments."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.busy import BusyLoops
from benchmarks.process import CommandFailed

SECONDS_BETWEEN_LOOKS = 0.05


@dataclass(frozen=True)
class Others:
    """Other programs beside a command.

    Args:
        loops: how many compute, each on a core.
        when: whether they do, so many seconds after the command has begun.
    """

    loops: int
    when: Callable[[float], bool]


NOBODY = Others(0, lambda seconds: False)


@dataclass(frozen=True)
class Kills:
    """When a command is killed.

    Args:
        moments: seconds after it has begun, the earliest first.
        only_if: whether a process, told by its number, is at what it is to be killed in; else it is killed once it is.
    """

    moments: tuple[float, ...]
    only_if: Callable[[int], bool]


NEVER = Kills((), lambda pid: False)


class Course:
    """A command on its way, in a process group of its own; where it is killed, it is begun again at once.

    Args:
        command: program and arguments.
        log: file that all that it prints is added to.
        environment: variables of its process.
        kills: when it is killed.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str], kills: Kills = NEVER) -> None:
        self._command, self._log, self._environment, self._kills = command, log, environment, kills
        self._process: subprocess.Popen[bytes] | None = None
        self._begun = 0.0
        self.killed = 0
        self.seconds = 0.0
        """Wall time from its first beginning to its end, once it has ended."""

    def begin(self) -> None:
        """Start it."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._begun = time.perf_counter()
        self._process = self._start()

    def goes_on(self) -> bool:
        """Whether it has not ended yet; kills it where that is due.

        Raises:
            CommandFailed: it ended with another status than 0.
        """
        if self._process is None:
            return False
        passed, status = time.perf_counter() - self._begun, self._process.poll()
        if status is None:
            if self._is_to_be_killed(self._process.pid, passed):
                self.kill()
                self.killed += 1
                self._process = self._start()
            return True
        self.seconds, self._process = passed, None
        if status:
            raise CommandFailed(f"{' '.join(self._command)}\nended with status {status}; its output is in {self._log}")
        return False

    def kill(self) -> None:
        """End it and all that it started with SIGKILL, if it is running."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _is_to_be_killed(self, pid: int, passed: float) -> bool:
        moments = self._kills.moments
        return self.killed < len(moments) and passed >= moments[self.killed] and self._kills.only_if(pid)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(self._environment),
                start_new_session=True,
            )


def take(courses: Sequence[Course], others: Others = NOBODY) -> None:
    """Begin commands together and wait for their ends, other programs beside them.

    Args:
        courses: the commands. Whatever interrupts this, none of them goes on.
        others: what computes beside them.

    Raises:
        CommandFailed: one ended with another status than 0.
    """
    with BusyLoops() as loops:
        try:
            begun = time.perf_counter()
            for course in courses:
                course.begin()
            while [course for course in courses if course.goes_on()]:
                loops.set(others.loops if others.when(time.perf_counter() - begun) else 0)
                time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            for course in courses:
                course.kill()
