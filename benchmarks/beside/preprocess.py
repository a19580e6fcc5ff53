"""Row: wall time and peak memory (of the process tree) of planning and preprocessing from raw data.

Both prepare the 3D configuration of full resolution and use as many processes as there are cores. nnU-Net's check of
the data set is optional and left out. autoseg always checks the data set, and it times training steps to plan for its
default time. Runs of both take turns, and each starts without earlier results.
"""

from __future__ import annotations

import shutil

from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from benchmarks.beside.bench import DATASETS, Bench
from benchmarks.beside.figures import Figure

REPEATS = 3
MIB = 2**20


def figures(bench: Bench, name: str) -> list[Figure]:
    """Time and memory on the data set `name`."""
    bench.rival.add_dataset(DATASETS[name], bench.data / name)
    run = RunFolder(bench.folder / "preprocess" / name)
    ours, theirs = [], []
    for repeat in range(REPEATS):
        shutil.rmtree(run.path, ignore_errors=True)
        log = f"preprocess_{name}_{repeat}"
        ours.append(bench.autoseg(["plan-and-preprocess", bench.data / name, "-o", run.path, "--config", "3d"], log))
        bench.rival.forget_preprocessed(DATASETS[name])
        theirs.append(bench.rival.preprocess(DATASETS[name], log))
    both = (("autoseg", run.plan), ("nnU-Net", run.reference_plan))
    spacings = (f"{who} {spacing_of(read_plan(path).configuration('3d'))}" for who, path in both)
    note = f"resampled to mm (z, y, x): {', '.join(spacings)}"
    return [
        Figure(
            what="plan and preprocess, s",
            dataset=name,
            ours=tuple(one.seconds for one in ours),
            theirs=tuple(one.seconds for one in theirs),
            better="less",
            goal="4×",
            note=note,
        ),
        Figure(
            what="plan and preprocess, peak MiB",
            dataset=name,
            ours=tuple(one.peak_bytes / MIB for one in ours),
            theirs=tuple(one.peak_bytes / MIB for one in theirs),
            better="less",
            goal="3×",
            note=note,
        ),
    ]


def spacing_of(configuration: Configuration) -> str:
    return " × ".join("as stored" if along is None else f"{along:.3g}" for along in configuration.spacing)
