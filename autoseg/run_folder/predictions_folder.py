"""Paths of a folder of predictions that units of work make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autoseg.run_folder.folder_of_units import FolderOfUnits
from autoseg.run_folder.paths import RunFolder


@dataclass(frozen=True)
class PredictionsFolder(FolderOfUnits):
    """Folder of the predictions of many images."""

    @property
    def request(self) -> Path:
        """File of what the person asked of `autoseg predict`; where it is, the folder is one of predictions."""
        return self.work / "predictions.json"

    @property
    def evaluation(self) -> Path:
        """Folder of the comparison with references."""
        return self.path / "evaluation"


WorkFolder = RunFolder | PredictionsFolder
"""A folder in which units of work are done."""
