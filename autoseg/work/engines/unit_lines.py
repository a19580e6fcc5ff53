"""The display of an engine that stays until the end: a line for each unit that runs, read from the RUN folder alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from rich.progress import TaskID

from autoseg.errors import AutosegError
from autoseg.run_folder.lock_holder import Watch
from autoseg.run_folder.predictions_folder import WorkFolder
from autoseg.terminal import FoldLines, FoldProgress, open_console
from autoseg.work.fold_progress import progress_of_running
from autoseg.work.state import States
from autoseg.work.unit import Unit

SECONDS_BETWEEN_LOOKS = 2.0
LARGEST_SHARE = 0.05
"""Looking takes no more than this share of the time, however many units run and however slow the disk is."""


@dataclass(frozen=True)
class Running:
    """A unit that runs.

    Args:
        where: where it runs, in words.
        progress: how far it is; None = it has no steps, or none that are told.
    """

    where: str
    progress: FoldProgress | None = None


Look = Callable[[Iterable[Unit]], dict[str, Running]]
"""Tells which of some units run, by their names; the others wait for a place, or have ended."""


@dataclass
class UnitLines:
    """A line for each unit that runs on any machine.

    Args:
        lines: display in the terminal, a progress line for each unit.
        look: tells which units run.
    """

    lines: FoldLines
    look: Look
    _shown: dict[str, TaskID] = field(default_factory=dict)
    _next_look: float = 0.0

    def show(self, placed: Iterable[Unit]) -> None:
        """Look at the units that are placed, if it is time to, and show those that run.

        Args:
            placed: units that the engine holds: those that run, and those that wait for a place.
        """
        begun = time.monotonic()
        if begun < self._next_look:
            return
        running = self.look(placed)
        for name in [name for name in self._shown if name not in running]:
            self.take_away(name)
        for name, now in running.items():
            if name not in self._shown:
                self._shown[name] = self.lines.add(f"{name}, {now.where}", None, "running")
            if now.progress is not None:
                self.lines.show(self._shown[name], now.progress)
        took = time.monotonic() - begun
        self._next_look = time.monotonic() + max(SECONDS_BETWEEN_LOOKS, took / LARGEST_SHARE)

    def take_away(self, name: str) -> None:
        """Remove the line of a unit that has ended."""
        if (line := self._shown.pop(name, None)) is not None:
            self.lines.remove(line)


@contextmanager
def shown(look: Look) -> Iterator[UnitLines]:
    """Show the display on standard error while the block runs."""
    lines = FoldLines(open_console(stderr=True))
    lines.start()
    try:
        yield UnitLines(lines, look)
    finally:
        lines.stop()


class RunningInRun:
    """Tells which units run and how far they are, from the files in the RUN folder alone.

    Args:
        run: RUN folder, or folder of predictions, whose units are done.
    """

    def __init__(self, run: WorkFolder) -> None:
        self._run, self._watch = run, Watch()

    def __call__(self, units: Iterable[Unit]) -> dict[str, Running]:
        """Return those of some units that run, by their names; none while a file is malformed, as in an edit."""
        with suppress(OSError, AutosegError):
            states = States(self._run, self._watch)
            found = {unit: states.of(unit) for unit in units}
            running = {unit: state for unit, state in found.items() if state.word == "running"}
            progress = progress_of_running(self._run, running)
            return {unit.name: Running(state.where, progress.get(unit.name)) for unit, state in running.items()}
        return {}
