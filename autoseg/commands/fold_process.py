"""A process that trains one fold beside others, and what it tells the process that started it.

It uses its own share of the cores, and prints into `training.log` of its fold. Ctrl-C reaches it with all processes of
the terminal, but its parent decides: it asks for a stop through the connection, also by its own death. So a fold that
is stopped always saves its state.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from _thread import interrupt_main
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal

from autoseg.commands.devices import Place
from autoseg.commands.fold_time import FoldTime
from autoseg.errors import AutosegError
from autoseg.machine.cores import take_cores
from autoseg.machine.stop_answer import may_come_from_a_stop
from autoseg.machine.stop_signals import leave_stopping_to_the_parent
from autoseg.memory import free_memory, lacks_memory, readable_bytes
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import FoldProgress

if TYPE_CHECKING:
    from trainer.stop_request import StopRequest

SECONDS_BETWEEN_MESSAGES = 0.3
"""Least seconds between two messages of the progress: a small network takes many steps a second."""


@dataclass(frozen=True)
class FoldTask:
    """What a process trains, and with what.

    Args:
        run: RUN folder that holds the plan and the preprocessed cases.
        configuration: name of the configuration.
        fold: number of the fold, from 0.
        place: device on which the fold is trained, and the cores that its process may use.
        beside: number of trainings that share the memory of this machine, this one included.
        threads: number of threads that compute on a CPU; None = as many as the cores of `place`.
        epochs: number of epochs; None = as planned.
        time: training time that the fold gets from the run's time budget.
    """

    run: Path
    configuration: str
    fold: int
    place: Place
    beside: int
    threads: int | None
    epochs: int | None
    time: FoldTime

    @property
    def name(self) -> str:
        """The fold in words, such as `3d, fold 0`."""
        return f"{self.configuration}, fold {self.fold}"


@dataclass(frozen=True)
class Ended:
    """How the training of a fold ended.

    Args:
        how: whether the fold is finished, was stopped, or failed.
        text: what the user is told of a stop or a failure.
        is_defect: whether the failure is no error that a user can cause.
        system: number, text and file of an answer of the operating system, such as of a full disk.
    """

    how: Literal["finished", "stopped", "failed"]
    text: str = ""
    is_defect: bool = False
    system: tuple[int, str, str | None] | None = None

    @property
    def error(self) -> Exception:
        """The failure as an exception."""
        if self.system is not None:
            return OSError(*self.system)
        return RuntimeError(self.text) if self.is_defect else AutosegError(self.text)


def train_in_process(connection: Connection, task: FoldTask) -> None:
    """Main function of the process: train the fold, tell the progress, and last of all how it ended.

    Args:
        connection: `FoldProgress` and one `Ended` are sent; whatever comes, or its end, asks for a stop.
        task: fold that is trained, with its device, cores and time.
    """
    _print_into(RunFolder(task.run).training_log(task.configuration, task.fold), task)
    has_cores = take_cores(task.place.cores)
    from trainer.stop_request import StopRequest

    stop = StopRequest()
    try:
        _answer_stops(connection, stop)
        ended = _train(connection, task, stop, None if has_cores else len(task.place.cores))
    except BaseException as error:
        # a further stop raises nothing; no function is called before, since Python answers signals at calls
        asked, stop.number = stop.number, 0
        # a library in C may make another error of the exception that a stop raises
        if isinstance(error, KeyboardInterrupt) or (asked is not None and may_come_from_a_stop(error)):
            ended = Ended("stopped", "Stopped before its first step or in its validation; nothing is lost.")
        else:
            traceback.print_exc()
            ended = _failure(error)
    stop.number = 0
    try:
        connection.send(ended)
    except OSError:
        # the parent has died
        sys.exit(1)


def _train(connection: Connection, task: FoldTask, stop: StopRequest, threads: int | None) -> Ended:
    """Train the fold; `threads` is the number where the person gave none."""
    from trainer.fold import train_fold
    from trainer.stop_request import TrainingStopped

    last = 0.0

    def tell(now: FoldProgress) -> None:
        nonlocal last
        if time.monotonic() - last < SECONDS_BETWEEN_MESSAGES and now.step < now.length:
            return
        last = time.monotonic()
        try:
            connection.send(now)
        except OSError:
            # the parent has died; the listener asks for the stop
            return

    try:
        train_fold(
            RunFolder(task.run),
            task.configuration,
            task.fold,
            device=task.place.device,
            threads=task.threads or threads,
            epochs=task.epochs,
            seconds_from_now=task.time.training_seconds,
            pace_before=task.time.pace,
            at_other_pace="tell",
            beside=task.beside,
            tell=tell,
            stop=stop,
        )
    except TrainingStopped as stopped:
        return Ended("stopped", str(stopped))
    return Ended("finished")


def _print_into(log: Path, task: FoldTask) -> None:
    """Let everything that this process and its workers print go to the end of a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    file = os.open(log, flags, 0o666)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
    print(f"{datetime.now():%Y-%m-%d %H:%M:%S} {task.name} on {task.place.device}", flush=True)


def _answer_stops(connection: Connection, stop: StopRequest) -> None:
    """Answer the first request to stop, whoever sends it: in training by saving the state, elsewhere by an exception.

    A scheduler sends SIGTERM to all processes, and the parent then asks too; only the first request counts.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        if stop.number is None:
            stop.number = number
            raise KeyboardInterrupt

    def listen() -> None:
        # the connection also ends when the parent dies
        with suppress(EOFError, OSError):
            connection.recv()
        interrupt_main(signal.SIGTERM)

    signal.signal(signal.SIGTERM, interrupt)
    leave_stopping_to_the_parent()
    threading.Thread(target=listen, daemon=True, name="stop").start()


def _failure(error: BaseException) -> Ended:
    if isinstance(error, AutosegError):
        return Ended("failed", str(error))
    if lacks_memory(error):
        free = readable_bytes(free_memory())
        return Ended("failed", f"there is not enough memory, {free} are free; free some, or use fewer --devices")
    if isinstance(error, OSError) and error.errno is not None:
        file = None if error.filename is None else str(error.filename)
        told = f"{file}: {error.strerror}" if file else str(error.strerror)
        return Ended("failed", told, system=(error.errno, str(error.strerror), file))
    return Ended("failed", f"{type(error).__name__}: {error}", is_defect=True)
