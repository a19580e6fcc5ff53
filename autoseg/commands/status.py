"""`autoseg status`: shows how far every unit of work of a run is."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from autoseg.commands.command import command
from autoseg.commands.folder_with_units import folder_with_units
from autoseg.commands.messages_of_predictions import say_predicted
from autoseg.commands.options import AnyRun, FollowLinks
from autoseg.errors import InputError
from autoseg.notebook import ShownAsTable
from autoseg.run_folder.lock_holder import COUNTS, PATIENCE, Watch
from autoseg.run_folder.predictions_folder import PredictionsFolder, WorkFolder
from autoseg.terminal import FoldProgress, format_duration, open_console
from autoseg.work.engine import told_by_engine
from autoseg.work.fold_progress import progress_of_running, told_progress
from autoseg.work.state import State, States
from autoseg.work.unit import Unit
from autoseg.work.units import units_of

if TYPE_CHECKING:
    from pandas import DataFrame

SECONDS_TO_LISTEN = 2.5 * PATIENCE / COUNTS
"""A process of another machine that lives is heard within this time."""

_STYLES = {"done": "green", "running": "cyan", "failed": "red", "ready": "", "waiting": "dim"}


@dataclass(frozen=True)
class Status(ShownAsTable):
    """The units of work of a run, in the order in which they can be done, and the state of each.

    Args:
        run: RUN folder, or folder of predictions.
        units: each unit and its state.
        progress: how far the trainings are that run, keyed by the names of their units.
    """

    run: WorkFolder
    units: tuple[tuple[Unit, State], ...]
    progress: Mapping[str, FoldProgress] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """How many units are done."""
        done = sum(state.word == "done" for _, state in self.units)
        return f"{self.run.path}: {done} of {len(self.units)} units of work are done"

    def to_frame(self) -> DataFrame:
        """Return a row for each unit: `unit`, `state`, `progress`, `where`, `since`, `tries`, `why` and `log`."""
        from pandas import DataFrame

        rows = [
            (unit.name, state.word, self.progress_of(unit), state.where, state.since, state.tries, state.why, state.log)
            for unit, state in self.units
        ]
        return DataFrame(rows, columns=["unit", "state", "progress", "where", "since", "tries", "why", "log"])

    def progress_of(self, unit: Unit) -> str:
        """How far the training of a unit is; empty where it trains nothing now, or has told nothing yet."""
        progress = self.progress.get(unit.name)
        return "" if progress is None else told_progress(progress)


@command
def status(run: AnyRun, *, follow_links: FollowLinks = False) -> Status:
    """Show every unit of work of a run: waiting, running where and how far, done, or failed why.

    It reads the RUN folder alone, whoever works on it and on whatever machine; of jobs in Slurm's queue it asks Slurm.
    Processes of other machines are listened to for a few seconds.

    Returns:
        The units and their states; a table in a notebook.

    Raises:
        RunFolderError: the folder is no RUN folder.
    """
    folder = folder_with_units(run, follow_links=follow_links)
    units = listened(folder, units_of(folder))
    found = Status(folder, units, progress_of_running(folder, [unit for unit, now in units if now.word == "running"]))
    console = open_console()
    console.print(found.heading, soft_wrap=True)
    queue, unknown = _queue_of(found)
    table = Table("unit", "state", "", "expected")
    for unit, state in found.units:
        expected = "" if unit.needs.seconds is None or state.word == "done" else format_duration(unit.needs.seconds)
        word = Text(state.word, style=_STYLES[state.word])
        parts = (found.progress_of(unit), told(state), queue.get(unit.name))
        table.add_row(unit.name, word, "; ".join(filter(None, parts)), expected)
    console.print(table)
    if isinstance(folder, PredictionsFolder):
        say_predicted(console, folder)
    if unknown:
        console.print(unknown, style="yellow", soft_wrap=True)
    return found


def _queue_of(found: Status) -> tuple[Mapping[str, str], str]:
    """What the engine tells of each unit, keyed by its name, and why this is not known; empty = it is."""
    try:
        return told_by_engine(found.run, {unit: state for unit, state in found.units if state.word != "done"}), ""
    except InputError as error:
        return {}, f"Where its units stand in the queue is not known here: {error}"


def told(state: State) -> str:
    """What is told beside the word of a state."""
    parts = []
    if state.word == "running":
        parts.append(state.where)
        if state.since is not None:
            parts.append(f"since {state.since}")
        if not state.heard:
            parts.append(
                f"not heard from for {SECONDS_TO_LISTEN:.0f} s: its machine may be off; after {PATIENCE:.0f} s another "
                "process goes on in its place"
            )
    if state.why:
        parts.append(state.why)
    if state.tries > 1 or state.word == "failed":
        parts.append("one try" if state.tries == 1 else f"{state.tries} tries")
    if state.log is not None and state.word in ("running", "failed"):
        parts.append(f"it printed into {state.log}")
    return "; ".join(parts)


def listened(run: WorkFolder, units: Sequence[Unit]) -> tuple[tuple[Unit, State], ...]:
    """States of the units; processes of other machines are looked at until each was heard, or some seconds passed."""
    watch, until = Watch(), time.monotonic() + SECONDS_TO_LISTEN
    while True:
        states = States(run, watch)
        found = tuple((unit, states.of(unit)) for unit in units)
        if all(state.heard for _, state in found) or time.monotonic() > until:
            return found
        time.sleep(1.0)
