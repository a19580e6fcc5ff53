"""Row: size on disk of the trained model of one fold, that is of the files that prediction needs.

For nnU-Net this is the checkpoint that prediction reads by default, `checkpoint_final.pth` of a fold that its own
command trained (the row `curve` trains one), and a fifth of the two files that five folds share. For autoseg it is a
fifth of what `autoseg copy --models-only` copies of five folds.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.beside.bench import Bench
from benchmarks.beside.curve import trained_by_rival
from benchmarks.beside.figures import Figure
from benchmarks.beside.untrained import FOLDS, planned_network, reference_network

MIB = 2**20
NAME = "hippocampus40"


def figures(bench: Bench) -> list[Figure]:
    """MiB of a fold, for the same network as nnU-Net's and for the network that autoseg plans by default."""
    fold = trained_by_rival(bench, epochs=1)
    shared = sum((fold.parent / name).stat().st_size for name in ("plans.json", "dataset.json"))
    theirs = (fold / "checkpoint_final.pth").stat().st_size + shared / FOLDS
    found = []
    for what, run in (
        ("the same network", reference_network(bench, NAME)),
        ("each as planned by default", planned_network(bench, NAME)),
    ):
        copy = bench.folder / "copied"
        shutil.rmtree(copy, ignore_errors=True)
        bench.autoseg(["copy", run.path, "-o", copy, "--models-only"], "copy")
        found.append(
            Figure(
                what=f"model of one fold on disk, {what}, MiB",
                dataset=NAME,
                ours=(bytes_in(copy) / FOLDS / MIB,),
                theirs=(theirs / MIB,),
                better="less",
                goal="2×",
            )
        )
    return found


def bytes_in(folder: Path) -> int:
    """Size in bytes of all files in the folder and its subfolders."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
