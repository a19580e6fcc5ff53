"""Measures a command as a user sees it: wall time, and peak memory of the process and all processes that it starts.

Memory is the sum of the proportional set size over the process tree, in which a page that several processes share
counts once. It is sampled at most ten times a second, and less often where sampling takes long, so a short peak can
be missed.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SECONDS_BETWEEN_LOOKS = 0.1
SHARE_FOR_LOOKS = 0.02
"""Maximum share of the time spent on sampling memory: one sample of a large process takes tens of milliseconds."""


@dataclass(frozen=True)
class Measured:
    """Time and memory of a command.

    Args:
        seconds: wall time.
        peak_bytes: peak memory of the process tree.
    """

    seconds: float
    peak_bytes: int


class CommandFailed(RuntimeError):
    """The command ended with a status other than 0; its output is in the log."""


class OutOfMemory(RuntimeError):
    """The command was killed because it took more memory than its limit."""


def own_peak_bytes() -> int:
    """Peak memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure(
    command: Sequence[str | Path],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    most_bytes: int | None = None,
) -> Measured:
    """Run a command to its end and measure it.

    Args:
        command: program and arguments.
        log: file to which all output of the command is written.
        environment: environment variables in addition to those of this process.
        most_bytes: memory limit of the process tree; above it the command is killed, before the machine runs out of
            memory. None = no limit.

    Raises:
        CommandFailed: the command did not end with status 0.
        OutOfMemory: the command took more than `most_bytes`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | dict(environment or {}),
        )
        watch = _Watch(process.pid, most_bytes)
        watch.start()
        status = process.wait()
        seconds = time.perf_counter() - start
        watch.end()
    if watch.ended_it:
        raise OutOfMemory(f"{' '.join(map(str, command))}\ntook more than {most_bytes} bytes")
    if status:
        raise CommandFailed(f"{' '.join(map(str, command))}\nended with status {status}; its output is in {log}")
    return Measured(seconds, watch.peak)


class _Watch(threading.Thread):
    """Samples the memory of a process tree until `end` is called, or kills the tree above its limit."""

    def __init__(self, pid: int, most_bytes: int | None) -> None:
        super().__init__(daemon=True)
        self._root = psutil.Process(pid)
        self._most_bytes = most_bytes
        self._ended = threading.Event()
        self.peak = 0
        self.ended_it = False

    def run(self) -> None:
        pause = SECONDS_BETWEEN_LOOKS
        while not self._ended.wait(pause):
            start = time.perf_counter()
            self.peak = max(self.peak, self._now())
            pause = max(SECONDS_BETWEEN_LOOKS, (time.perf_counter() - start) / SHARE_FOR_LOOKS)
            if self._most_bytes is not None and self.peak > self._most_bytes:
                self.ended_it = True
                self._kill()
                return

    def _kill(self) -> None:
        for process in (*self._root.children(recursive=True), self._root):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def end(self) -> None:
        self._ended.set()
        self.join()

    def _now(self) -> int:
        total = 0
        try:
            for process in (self._root, *self._root.children(recursive=True)):
                total += _memory(process)
        except psutil.NoSuchProcess:
            return total
        return total


def _memory(process: psutil.Process) -> int:
    """Memory of one process in bytes; 0 if it has just ended."""
    try:
        full = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
    # only Linux reports the proportional set size
    return int(getattr(full, "pss", full.rss))
