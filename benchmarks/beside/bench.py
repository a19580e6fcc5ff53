"""Settings that every row of the comparison gets: folders, data sets and nnU-Net."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.run_folder.paths import RunFolder
from benchmarks.beside.rival import Rival
from benchmarks.process import Measured, measure

DATASETS = {"hippocampus40": 4, "abdomen20": 20}
"""nnU-Net's number of each data set, by name."""


@dataclass(frozen=True)
class Bench:
    """Folders and limits of the comparison, and the nnU-Net to compare with.

    Args:
        data: folder that holds the folders of the data sets.
        folder: folder for runs and logs.
        measured: folder for the results of rows, which are not measured again.
        rival: nnU-Net v2.
        most_epochs: nnU-Net's trainers with more epochs are not run.
        most_minutes: autoseg's time budgets above these minutes per fold are not run.
    """

    data: Path
    folder: Path
    measured: Path
    rival: Rival
    most_epochs: int
    most_minutes: float

    def row_file(self, row: str) -> Path:
        """File in which the result of a row is kept."""
        return self.measured / f"{row}.json"

    def autoseg(self, arguments: Sequence[str | Path], log: str) -> Measured:
        """Run a command of autoseg, as a user would, and measure it.

        Args:
            arguments: arguments after `autoseg` on the command line.
            log: name, without ending, of the file to which the output is written.
        """
        return measure([sys.executable, "-m", "autoseg", *arguments], self.folder / "logs" / f"{log}.txt")

    def preprocessed_by_rival(self, name: str) -> Path:
        """Folder of nnU-Net's preprocessed data and plan of a data set; they are made where they are missing."""
        number = DATASETS[name]
        self.rival.add_dataset(number, self.data / name)
        if not any((self.rival.folder / "preprocessed").glob(f"Dataset{number:03d}_*/nnUNetPlans_3d_fullres")):
            self.rival.preprocess(number, f"preprocess_{name}")
        return self.rival.preprocessed(number)

    def planned(self, name: str) -> RunFolder:
        """Run that autoseg planned for the default time, without preprocessed cases; it is made where it is missing."""
        run = RunFolder(self.folder / "planned" / name)
        if not run.reference_plan.exists():
            arguments: list[str | Path] = [
                "plan-and-preprocess",
                self.data / name,
                "-o",
                run.path,
                "--config",
                "3d",
                "--plan-only",
            ]
            self.autoseg(arguments, f"plan_{name}")
        return run
