"""What every row of the comparison is given."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.run_folder.paths import RunFolder
from benchmarks.beside.rival import Rival
from benchmarks.process import Measured, measure

DATASETS = {"hippocampus40": 4, "abdomen20": 20}
"""By name the number that nnU-Net calls it by."""


@dataclass(frozen=True)
class Bench:
    """Where the data are, where everything goes, and whom autoseg is measured beside.

    Args:
        data: folder of the data sets.
        folder: for runs and logs.
        measured: for what was measured, which is not measured again.
        rival: nnU-Net.
        most_epochs: of its trainers the longest that is run.
        most_minutes: of autoseg's budgets for a fold the longest that is run.
    """

    data: Path
    folder: Path
    measured: Path
    rival: Rival
    most_epochs: int
    most_minutes: float

    def row_file(self, row: str) -> Path:
        """Where the result of a row is kept."""
        return self.measured / f"{row}.json"

    def autoseg(self, arguments: Sequence[str | Path], log: str) -> Measured:
        """Run a command of autoseg's, as its user would.

        Args:
            arguments: after `autoseg`.
            log: name of the file for what it prints.
        """
        return measure([sys.executable, "-m", "autoseg", *arguments], self.folder / "logs" / f"{log}.txt")

    def preprocessed_by_rival(self, name: str) -> Path:
        """Folder of what nnU-Net made of a data set; made where it is missing."""
        number = DATASETS[name]
        self.rival.add_dataset(number, self.data / name)
        if not any((self.rival.folder / "preprocessed").glob(f"Dataset{number:03d}_*/nnUNetPlans_3d_fullres")):
            self.rival.preprocess(number, f"preprocess_{name}")
        return self.rival.preprocessed(number)

    def planned(self, name: str) -> RunFolder:
        """A run of a data set that is planned for the default time, not preprocessed; made where it is missing."""
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
