"""Who holds a lock, and whether that process lives: known at once on this machine, watched on another one."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from autoseg.disk.text_files import first_bytes
from autoseg.disk.this_process import has_ended
from autoseg.disk.transient import patiently

PATIENCE = 60.0
"""Seconds for which a holder's count stands still before it counts as gone."""

COUNTS = 12
"""So many times a holder counts within this time."""

ENDING = ".held"
COUNT = "alive"

_HOLDER = re.compile(r"[0-9a-f]{8}\.\d+\.\d*\.[0-9a-f]{8}")
_WHERE = re.compile(r"\d{20}\n(process \d+ on [\w.-]+)\n.*\n", re.ASCII)
_MOST_BYTES = 1000


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, as it was found.

    Args:
        folder: folder that is there as long as the lock is held.
        count: content of its file with the count; empty where it cannot be read just now.
    """

    folder: Path
    count: str

    @property
    def has_ended(self) -> bool | None:
        """Whether its process has ended; None where it is one of another machine."""
        return has_ended(self.process)

    @property
    def process(self) -> str:
        """Its process, as `this_process` names it."""
        return self.folder.name.rpartition(".")[0]

    @property
    def told(self) -> str:
        """Where it runs, for a message."""
        # somebody may have put another file in its place, whose content is not for the terminal
        found = _WHERE.fullmatch(self.count)
        return found[1] if found else "unknown"


def lock_of(place: Path) -> Path:
    """Folder that is the lock of a place."""
    return place.with_name(f".{place.name}{ENDING}")


def holder_of(lock: Path) -> Holder | None:
    """Who holds a lock; None where nobody does."""
    try:
        names = [name for name in patiently(os.listdir, lock) if _HOLDER.fullmatch(name)]
    except FileNotFoundError:
        return None
    if not names:
        return None
    return Holder(lock / names[0], first_bytes(lock / names[0] / COUNT, _MOST_BYTES).decode(errors="replace"))


class Watch:
    """Tells who holds locks and lives, by the clock of this process alone.

    A holder of another machine lives as long as its count goes on. It is believed to live until its count has been
    seen to stand still for `patience`.

    Args:
        patience: seconds for which a count stands still until its process counts as gone.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._seen: dict[Path, _Seen] = {}

    def living(self, place: Path) -> Holder | None:
        """Who holds the lock of a place and is not known to be gone; None where nobody does."""
        holder, lives = self.look(lock_of(place))
        return holder if lives else None

    def look(self, lock: Path) -> tuple[Holder | None, bool]:
        """Who holds a lock, and whether that process is believed to live.

        Args:
            lock: folder that is the lock.
        """
        holder = holder_of(lock)
        if holder is None or holder.has_ended is not None:
            self._seen.pop(lock, None)
            return holder, holder is not None and not holder.has_ended
        now, seen = time.monotonic(), self._seen.get(lock)
        if seen is None or seen.holder.folder != holder.folder:
            self._seen[lock] = _Seen(holder, now)
        elif seen.holder != holder:
            self._seen[lock] = _Seen(holder, now, goes_on=True)
        elif now - seen.since > self.patience:
            return holder, False
        return holder, True

    def was_heard(self, place: Path) -> bool:
        """Whether the holder of a place lives for sure: it is one of this machine, or its count was seen to go on."""
        holder, lives = self.look(lock_of(place))
        seen = self._seen.get(lock_of(place))
        return holder is not None and lives and (seen is None or seen.goes_on)

    def lives_for_sure(self, place: Path) -> bool:
        """Whether a living process holds the lock of a place; one of another machine is watched until that is known."""
        while self.living(place) is not None:
            if self.was_heard(place):
                return True
            time.sleep(min(1.0, self.patience / 20))
        return False


@dataclass(frozen=True)
class _Seen:
    """A holder of another machine as it was last seen to change.

    Args:
        holder: holder and its count.
        since: when, by the clock of this process.
        goes_on: whether its count was seen to change.
    """

    holder: Holder
    since: float
    goes_on: bool = False
