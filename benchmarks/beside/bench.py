"""What every row of the comparison is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.beside.rival import Rival

DATASETS = {"hippocampus40": 4, "abdomen20": 20}
"""By name the number that nnU-Net calls it by."""


@dataclass(frozen=True)
class Bench:
    """Where the data are, where everything goes, and whom autoseg is measured beside.

    Args:
        data: folder of the data sets.
        folder: for runs, logs and results; what is in it is not measured again.
        rival: nnU-Net.
    """

    data: Path
    folder: Path
    rival: Rival
