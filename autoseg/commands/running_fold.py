"""A fold that is trained in a process of its own, as the process that started it sees it: messages, line, end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from rich.progress import TaskID

from autoseg.commands.fold_process import Ended, FoldTask
from autoseg.commands.fold_time import Fold
from autoseg.machine.processes import WORKERS, start
from autoseg.machine.worker_pool import cause_of_end
from autoseg.terminal import FoldLines, FoldProgress

SECONDS_TO_END = 60.0
"""A process that has told how its training ended is killed if it lives this much longer."""

Main = Callable[[Connection, FoldTask], None]
"""Main function of a process: it trains the fold, and sends `FoldProgress` and one `Ended`."""


@dataclass(frozen=True)
class RunningFold:
    """A fold in training, and the process that trains it.

    Args:
        task: fold that is trained, with its device, cores and time.
        process: process that trains it.
        connection: this end of the connection to it.
        lines: the display of all folds.
        line: the fold's line in it.
    """

    task: FoldTask
    process: BaseProcess
    connection: Connection
    lines: FoldLines
    line: TaskID

    @classmethod
    def start(cls, main: Main, task: FoldTask, lines: FoldLines) -> RunningFold:
        """Start a process that trains a fold, and add the fold's line.

        Raises:
            AutosegError: the system allows no further process.
        """
        ours, theirs = WORKERS.Pipe()
        process = WORKERS.Process(target=main, args=(theirs, task), name=task.name)
        start(process)
        # the process alone holds this end now, so that its death ends the connection
        theirs.close()
        return cls(task, process, ours, lines, lines.add(f"{task.name}, {task.place.device}", None, "starting"))

    @property
    def pair(self) -> Fold:
        """Configuration and number of the fold."""
        return self.task.configuration, self.task.fold

    def read(self) -> FoldProgress | Ended:
        """Return the next message; where the process has died without a last one, what is known of its end."""
        try:
            message: FoldProgress | Ended = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            return Ended("failed", f"its process {cause_of_end(self.process.exitcode)}")
        if isinstance(message, Ended):
            self.process.join(SECONDS_TO_END)
            self.kill()
            self.connection.close()
        return message

    def show(self, progress: FoldProgress) -> None:
        """Update the fold's line."""
        self.lines.show(self.line, progress)

    def take_line_away(self) -> None:
        """Remove the fold's line."""
        self.lines.remove(self.line)

    def ask_to_stop(self) -> None:
        """Ask the process to save the state of its fold and to end; one that has ended is not asked."""
        with suppress(OSError):
            self.connection.send("stop")

    def kill(self) -> None:
        """End the process at once if it lives."""
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
