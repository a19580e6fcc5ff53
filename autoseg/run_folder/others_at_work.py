"""Counts the other processes that work on a RUN folder, so that each counts its share of the wall time.

No clock of another machine is read: a process that works holds a lock, and its count goes on.
"""

from __future__ import annotations

from pathlib import Path

from autoseg.disk.this_process import this_process
from autoseg.run_folder.lock_holder import ENDING, PATIENCE, Watch, lock_of
from autoseg.run_folder.paths import RunFolder

_BRIEF = (f".json{ENDING}",)
"""Locks that are held for the moment in which a file is written."""


class OthersAtWork:
    """Counts the other processes that hold locks of units, folds or cases in a RUN folder, and live.

    Args:
        run: RUN folder.
        patience: seconds for which a count stands still until its process counts as gone.
    """

    def __init__(self, run: RunFolder, patience: float = PATIENCE) -> None:
        self._run, self._watch = run, Watch(patience)

    def count(self) -> int:
        """Number of the other processes that work now."""
        found = (self._watch.look(lock) for lock in self._locks())
        processes = {holder.process for holder, lives in found if holder is not None and lives}
        return len(processes - {this_process()})

    def _locks(self) -> list[Path]:
        path, pattern = self._run.path, f".*{ENDING}"
        found = (
            *path.glob(f"work/{pattern}"),
            *path.glob(f"preprocessed/{pattern}"),
            *path.glob(f"models/*/{pattern}"),
        )
        # the process that places units stays beside those that do them
        places = lock_of(self._run.ray)
        return [lock for lock in found if lock != places and not lock.name.endswith(_BRIEF)]
