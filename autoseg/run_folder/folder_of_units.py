"""Paths of a folder that units of work are done in: what was asked for, who places them, and the tries of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FolderOfUnits:
    """A folder that all machines see, in which units of work are done.

    Args:
        path: path of the folder; it need not exist yet.
    """

    path: Path

    @property
    def work(self) -> Path:
        """Folder of what was asked for, and of the tries of each unit of work."""
        return self.path / "work"

    @property
    def engine(self) -> Path:
        """File of what was given to the engine that places the units of work."""
        return self.work / "engine.json"

    @property
    def ray(self) -> Path:
        """Place whose lock the process holds that places units of work by Ray, and does none itself."""
        return self.work / "ray"

    @property
    def logs(self) -> Path:
        """Folder of what units of work print under an engine, a file each."""
        return self.work / "logs"

    def tries(self, unit: str) -> Path:
        """File of the tries of a unit of work."""
        return self.work / f"{unit}.json"
