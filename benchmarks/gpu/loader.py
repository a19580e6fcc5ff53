"""(c) Patches a second that 1 to 15 processes make for a GPU, of one and four sequences, by both sets of transforms.

Also how many they make where the GPU itself augments the images, and what that takes it.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from autoseg.machine.cores import available_cores
from autoseg.machine.device import resolve_device
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from benchmarks.gpu.__main__ import Answers
from benchmarks.gpu.cases import write_run
from benchmarks.gpu.plans import Kind, planned
from trainer.data.batches import BatchLoader

WORKERS = (1, 2, 4, 8, 15)
SECONDS = 1.5
STEPS_ON_DEVICE = 8


def measure(device: str, data: Path | None, answers: Answers) -> None:
    where = resolve_device(device)
    on_gpu = where.type == "cuda"
    shape = (160, 200, 200) if on_gpu else (24, 24, 24)
    counts = [workers for workers in WORKERS if workers < max(2, available_cores())]
    for channels in (1, 4):
        for augmentation in ("autoseg", "batchgenerators"):
            with tempfile.TemporaryDirectory() as folder:
                run = RunFolder(Path(folder))
                plan, _ = planned(Kind(shape, channels=channels, batch=None if on_gpu else 2))
                write_run(run, plan, "3d", shape, 6, augmentation=augmentation)
                answers[f"{channels} sequences, {augmentation}"] = {
                    workers: patches_a_second(run, workers) for workers in counts
                }
                if augmentation == "autoseg":
                    few_and_many = dict.fromkeys((counts[0], counts[-1]))
                    answers[f"{channels} sequences, augmented on the device"] = {
                        workers: patches_a_second(run, workers, for_device=True) for workers in few_and_many
                    } | {"device, seconds a patch": seconds_on_device(run, where)}


def loader_of(run: RunFolder, workers: int, *, for_device: bool) -> BatchLoader:
    """The batches of a run's cases."""
    plan = read_plan(run.plan)
    folders = [path.parent for path in run.preprocessed("3d").glob("*/case.json")]
    settings: dict[str, Any] = {"labels": plan.labels, "seed": 0, "fold": 0, "first_step": 0}
    return BatchLoader(folders, plan.configuration("3d"), workers=workers, for_device=for_device, **settings)


def seconds_on_device(run: RunFolder, device: torch.device) -> float:
    """Seconds in which a device makes the image of a patch, over the patches of some steps."""
    loader = loader_of(run, 0, for_device=True)
    batches = [loader.prepared_here(step).to(device) for step in range(STEPS_ON_DEVICE)]
    patches = len(batches) * read_plan(run.plan).configuration("3d").batch_size
    for batch in batches:
        # what was made before time is taken does not count
        batch.ready().image.sum().item()
    started = time.perf_counter()
    for batch in batches:
        batch.ready().image.sum().item()
    return (time.perf_counter() - started) / patches


def patches_a_second(run: RunFolder, workers: int, *, for_device: bool = False) -> float:
    """Patches a second of so many processes, after their first batches; `for_device`: without their images."""
    batch_size = read_plan(run.plan).configuration("3d").batch_size
    with loader_of(run, workers, for_device=for_device) as loader:
        steps = iter(loader)
        # what was made before time is taken does not count
        for _ in range(3 * workers):
            next(steps)
        started, taken = time.perf_counter(), 0
        while time.perf_counter() - started < SECONDS:
            next(steps)
            taken += 1
        return round(taken * batch_size / (time.perf_counter() - started), 1)
