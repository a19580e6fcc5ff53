"""The display of an engine that stays until the end: a line for each unit that runs, read from the RUN folder alone."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from rich.progress import TaskID

from autoseg.errors import AutosegError
from autoseg.files import read_utf8
from autoseg.run_folder.lock_holder import Watch
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.predictions_folder import WorkFolder
from autoseg.terminal import FoldLines, FoldProgress, open_console
from autoseg.work.state import States
from autoseg.work.unit import Unit
from autoseg.work.units import scope_of, trained_in

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
        run: RUN folder.
    """

    def __init__(self, run: WorkFolder) -> None:
        self._run, self._watch = run, Watch()

    def __call__(self, units: Iterable[Unit]) -> dict[str, Running]:
        """Return those of some units that run, by their names; none while a file is malformed, as in an edit."""
        with suppress(OSError, AutosegError):
            states = States(self._run, self._watch)
            found = {unit: states.of(unit) for unit in units}
            return {
                unit.name: Running(state.where, self._progress(unit) if unit.kind == "train" else None)
                for unit, state in found.items()
                if state.word == "running"
            }
        return {}

    def _progress(self, unit: Unit) -> FoldProgress | None:
        """How far a training is; None where its log cannot be read just now."""
        name, fold = trained_in(unit)
        assert isinstance(self._run, RunFolder)
        scope = scope_of(self._run)
        if scope.plan is None or name not in scope.plan.configurations:
            return None
        training = scope.plan.configurations[name].training
        epochs = scope.request.epochs
        length = training.iterations if epochs is None else epochs * training.iterations_per_epoch
        with suppress(OSError, AutosegError):
            return progress_of_log(read_utf8(self._run.fold(name, fold) / "log.csv").decode(errors="replace"), length)
        return None


def progress_of_log(text: str, length: int) -> FoldProgress | None:
    """Return how far the training of a fold is.

    Args:
        text: content of the fold's `log.csv`, which gets a line an epoch.
        length: number of steps of its schedule.

    Returns:
        None where no epoch is done.
    """
    rows = list(csv.DictReader(text.splitlines()))
    if not rows:
        return None
    last = rows[-1]
    try:
        step, loss, dice = int(last["step"]), float(last["loss"]), float(last["train_dice"])
    except (KeyError, TypeError, ValueError):
        return None
    return FoldProgress(
        step, max(step, length), f"{loss:.3f}", f"{dice:.3f}", "training" if step < length else "validation"
    )
