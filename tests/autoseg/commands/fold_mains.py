"""Main functions of processes that stand in for training; they import no torch, so that they start at once."""

import os
import signal
import time
from multiprocessing.connection import Connection

from autoseg.commands.fold_process import Ended, FoldTask
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import FoldProgress

SECONDS = 0.4


def log(task: FoldTask, word: str) -> None:
    """Write down what happens when, for the test."""
    with (task.run / "calls.txt").open("a", encoding="utf-8") as file:
        file.write(f"{word} {task.configuration} {task.fold} {task.place.device} {len(task.place.cores)}\n")


def _sleep_until_stopped(connection: Connection, task: FoldTask, seconds: float) -> None:
    if connection.poll(seconds):
        connection.recv()
        log(task, "stopped")
        connection.send(Ended("stopped", "Stopped at step 5 of 10."))
    else:
        log(task, "ended")
        connection.send(Ended("finished"))


def works(connection: Connection, task: FoldTask) -> None:
    """Train for a moment."""
    log(task, "began")
    connection.send(FoldProgress(5, 10, "0.5", "0.8", "1 s left"))
    _sleep_until_stopped(connection, task, SECONDS)


def works_long(connection: Connection, task: FoldTask) -> None:
    """Train until asked to stop, without an answer to Ctrl-C, which the terminal sends to all processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log(task, "began")
    _sleep_until_stopped(connection, task, 600.0)


def first_fails(connection: Connection, task: FoldTask) -> None:
    """Fold 0 fails at once, fold 1 is killed, the others train."""
    if task.fold == 0:
        connection.send(Ended("failed", "case ball_3 is damaged"))
    elif task.fold == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        works(connection, task)


def disk_is_full(connection: Connection, task: FoldTask) -> None:
    """Fold 0 finds a full disk once the other one trains."""
    if task.fold:
        works_long(connection, task)
        return
    until = time.monotonic() + 600
    while not (task.run / "calls.txt").exists() and time.monotonic() < until:
        time.sleep(0.02)
    connection.send(Ended("failed", "full", system=(28, "No space left on device", str(RunFolder(task.run).plan))))


def deaf(connection: Connection, task: FoldTask) -> None:
    """Never stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log(task, "began")
    time.sleep(600)
