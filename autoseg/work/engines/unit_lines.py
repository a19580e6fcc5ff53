"""The display of an engine that stays until the end: a line for each unit that runs, read from the RUN folder alone."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.progress import TaskID

from autoseg.terminal import FoldLines, FoldProgress, open_console

SECONDS_BETWEEN_LOOKS = 2.0
LARGEST_SHARE = 0.05
"""Looking takes no more than this share of the time, however many units run and however slow the disk is."""

Running = Callable[[str], str | None]
"""Where a unit runs, in words, by its name; None = it waits for a place, or has ended."""

Progress = Callable[[str], FoldProgress | None]
"""How far a unit is, by its name; None = it has no steps."""


@dataclass
class UnitLines:
    """A line for each unit that runs on any machine.

    Args:
        lines: the display.
        running: tells where a unit runs.
        progress: tells how far it is.
    """

    lines: FoldLines
    running: Running
    progress: Progress
    _shown: dict[str, TaskID] = field(default_factory=dict)
    _next_look: float = 0.0

    def show(self, placed: Iterable[str]) -> None:
        """Look at the units that are placed, if it is time to, and show those that run.

        Args:
            placed: names of the units that the engine holds: those that run, and those that wait for a place.
        """
        begun = time.monotonic()
        if begun < self._next_look:
            return
        names = set(placed)
        for name in [name for name in self._shown if name not in names]:
            self.take_away(name)
        for name in names:
            self._show_one(name)
        took = time.monotonic() - begun
        self._next_look = time.monotonic() + max(SECONDS_BETWEEN_LOOKS, took / LARGEST_SHARE)

    def take_away(self, name: str) -> None:
        """Remove the line of a unit that has ended."""
        if (line := self._shown.pop(name, None)) is not None:
            self.lines.remove(line)

    def _show_one(self, name: str) -> None:
        where = self.running(name)
        if where is None:
            self.take_away(name)
            return
        if name not in self._shown:
            self._shown[name] = self.lines.add(f"{name}, {where}", None, "running")
        if (now := self.progress(name)) is not None:
            self.lines.show(self._shown[name], now)


@contextmanager
def shown(running: Running, progress: Progress) -> Iterator[UnitLines]:
    """Show the display on standard error while the block runs."""
    lines = FoldLines(open_console(stderr=True))
    lines.start()
    try:
        yield UnitLines(lines, running, progress)
    finally:
        lines.stop()


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
