"""`--engine ray[=ADDRESS]`: Ray places the units of work on the nodes of a cluster, as tasks with what each needs.

Commands and small results go through Ray; images, models and all that a unit makes stay in the RUN folder.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from autoseg.files import write_text
from autoseg.run_folder.lock import locked
from autoseg.run_folder.lock_holder import Watch
from autoseg.run_folder.predictions_folder import WorkFolder
from autoseg.terminal import open_console
from autoseg.work.engine import Asked
from autoseg.work.engines.ledger import Ledger
from autoseg.work.engines.ray_cluster import cluster
from autoseg.work.engines.ray_run import RayRun
from autoseg.work.engines.unit_lines import RunningInRun, shown
from autoseg.work.state import State, units_left
from autoseg.work.unit import Unit
from autoseg.work.units import follows_links, units_of

SECONDS_BETWEEN_LOOKS = 1.0


def options_of(_run: WorkFolder, asked: Asked) -> Asked:
    """Return what the person asked of this engine; it needs no other form."""
    return asked


def submit(run: WorkFolder, units: Sequence[Unit], options: Asked) -> None:
    """Do units on a Ray cluster; returns once all are done.

    Args:
        run: RUN folder, on a disk that all nodes see under the same path.
        units: units that are not done.
        options: what the person asked of the engine.

    Raises:
        InputError: Ray is missing; the cluster is open, out of reach or takes another token; nodes differ.
        LockedByAnother: another process places units of this run.
        TrainingStopped: the person asked for a stop; every unit has saved its state.
        PartialFailure: units failed; all that did not wait for them are done.
    """
    with locked(run.ray, "placing units of work by Ray"):
        _cancelled(run).unlink(missing_ok=True)
        left = {unit.name for unit in units}
        done = {unit.name for unit in units_of(run)} - left
        ledger = Ledger(tuple(units), options.retries, done)
        with cluster(options.address, insecure=options.insecure), shown(RunningInRun(run)) as lines:
            RayRun(
                run,
                ledger,
                lambda name, log: _arguments(run, name, log),
                lambda: units_of(run),
                _Cancelled(run).is_asked,
                lines,
                open_console(),
            ).work()


def held(run: WorkFolder) -> tuple[str, ...]:
    """Return the names of the units that are not done, while a process places them."""
    return tuple(unit.name for unit in units_left(run)) if Watch().lives_for_sure(run.ray) else ()


def in_queue(run: WorkFolder, states: Mapping[Unit, State]) -> dict[str, str]:
    """Return who places the units that are ready to begin; nothing while nobody does.

    Args:
        run: RUN folder, or folder of predictions, whose units are told of.
        states: units that are not done, and how far each is.
    """
    holder = Watch().living(run.ray)
    ready = [unit.name for unit, state in states.items() if state.word == "ready"]
    return {} if holder is None else dict.fromkeys(ready, f"Ray places it, by {holder.told}")


def cancel(run: WorkFolder) -> tuple[str, ...]:
    """Ask the process that places the units to stop, wherever it runs, and wait until every unit has saved its state.

    Returns:
        Names of the units that are not done.
    """
    watch = Watch()
    if watch.living(run.ray) is not None:
        while watch.living(run.ray) is not None:
            # a process that begins just now removes what an earlier cancelling left
            if not _cancelled(run).exists():
                write_text(_cancelled(run), "")
            time.sleep(SECONDS_BETWEEN_LOOKS)
        _cancelled(run).unlink(missing_ok=True)
    return tuple(unit.name for unit in units_left(run))


def _arguments(run: WorkFolder, name: str, log: Path) -> tuple[str, ...]:
    """Arguments of `autoseg` that do a unit on any node."""
    links = ("--follow-links",) if follows_links(run) else ()
    return ("work", str(run.path.absolute()), name, "--log", str(log), *links)


class _Cancelled:
    """Whether somebody asked for a stop by `autoseg cancel`; the disk is asked once in a while.

    Args:
        run: RUN folder, or folder of predictions, whose units are done.
    """

    def __init__(self, run: WorkFolder) -> None:
        self._file, self._next, self._asked = _cancelled(run), 0.0, False

    def is_asked(self) -> bool:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + SECONDS_BETWEEN_LOOKS
            with suppress(OSError):
                self._asked = self._file.exists()
        return self._asked


def _cancelled(run: WorkFolder) -> Path:
    """File by which that process is asked to stop."""
    return run.work / "ray.cancel"
