"""Plan and preprocess from raw data: wall time, and peak memory of the process tree.

Both prepare the 3D configuration of full resolution and take as many processes as there are cores. nnU-Net's
check of the data set is an option and left out; autoseg's is always part of it, and it plans for its
default time, for which it measures training steps. Runs are interleaved, each from nothing.
"""

from __future__ import annotations

import shutil

from benchmarks.beside.bench import DATASETS, Bench
from benchmarks.beside.figures import Figure

REPEATS = 3
MIB = 2**20


def figures(bench: Bench, name: str) -> list[Figure]:
    """Time and memory on one data set."""
    bench.rival.add_dataset(DATASETS[name], bench.data / name)
    ours, theirs = [], []
    for repeat in range(REPEATS):
        run = bench.folder / "preprocess" / name
        shutil.rmtree(run, ignore_errors=True)
        log = f"preprocess_{name}_{repeat}"
        ours.append(bench.autoseg(["plan-and-preprocess", bench.data / name, "-o", run, "--config", "3d"], log))
        bench.rival.forget_preprocessed(DATASETS[name])
        theirs.append(bench.rival.preprocess(DATASETS[name], log))
    return [
        Figure(
            what="plan and preprocess, s",
            dataset=name,
            ours=tuple(one.seconds for one in ours),
            theirs=tuple(one.seconds for one in theirs),
            better="less",
            goal="4×",
        ),
        Figure(
            what="plan and preprocess, peak MiB",
            dataset=name,
            ours=tuple(one.peak_bytes / MIB for one in ours),
            theirs=tuple(one.peak_bytes / MIB for one in theirs),
            better="less",
            goal="3×",
        ),
    ]
