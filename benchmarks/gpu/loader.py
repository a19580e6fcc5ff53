"""(c) Patches a second that 1 to 15 processes make for a GPU, of one and four sequences, by both sets of transforms."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from autoseg.machine.cores import available_cores
from autoseg.machine.device import resolve_device
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from benchmarks.gpu.__main__ import Answers
from benchmarks.gpu.cases import write_run
from benchmarks.gpu.plans import Kind, planned
from trainer.data.batches import BatchLoader

WORKERS = (1, 2, 4, 8, 15)
SECONDS = 2.0


def measure(device: str, data: Path | None, answers: Answers) -> None:
    on_gpu = resolve_device(device).type == "cuda"
    shape = (160, 200, 200) if on_gpu else (24, 24, 24)
    for channels in (1, 4):
        for augmentation in ("autoseg", "batchgenerators"):
            with tempfile.TemporaryDirectory() as folder:
                run = RunFolder(Path(folder))
                plan, _ = planned(Kind(shape, channels=channels, batch=None if on_gpu else 2))
                write_run(run, plan, "3d", shape, 6, augmentation=augmentation)
                found = {
                    workers: patches_a_second(run, workers)
                    for workers in WORKERS
                    if workers < max(2, available_cores())
                }
            answers[f"{channels} sequences, {augmentation}"] = found


def patches_a_second(run: RunFolder, workers: int) -> float:
    """Patches a second of so many processes, after their first batches."""
    plan = read_plan(run.plan)
    configuration = plan.configuration("3d")
    folders = [path.parent for path in run.preprocessed("3d").glob("*/case.json")]
    with BatchLoader(
        folders, configuration, labels=plan.labels, seed=0, fold=0, first_step=0, workers=workers
    ) as loader:
        steps = iter(loader)
        # what was made before time is taken does not count
        for _ in range(3 * workers):
            next(steps)
        started, taken = time.perf_counter(), 0
        while time.perf_counter() - started < SECONDS:
            next(steps)
            taken += 1
        return round(taken * configuration.batch_size / (time.perf_counter() - started), 1)
