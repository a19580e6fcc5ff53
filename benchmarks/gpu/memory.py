"""(f) The reference plan on cards of 8 and 12 GB, by a fraction of this one's memory: five steps and the validation."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from autoseg.machine.device import resolve_device
from autoseg.run_folder.paths import RunFolder
from benchmarks.gpu.__main__ import Answers
from benchmarks.gpu.cases import write_run
from benchmarks.gpu.plans import Kind, planned
from trainer.fold import train_fold

CARDS_GB = (8, 12)


def measure(device: str, data: Path | None, answers: Answers) -> None:
    where = resolve_device(device)
    for gigabytes in CARDS_GB:
        answers[f"{gigabytes} GB"] = on_card(device, where, gigabytes)


def on_card(device: str, where: torch.device, gigabytes: int) -> dict[str, Any]:
    """Whether an epoch and the validation fit, and the most memory that they took."""
    large = where.type == "cuda"
    shape = (160, 200, 200) if large else (24, 24, 24)
    if large:
        total = torch.cuda.get_device_properties(where).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, gigabytes * 2**30 / total), where)
        torch.cuda.reset_peak_memory_stats(where)
    plan, configuration = planned(Kind(shape, batch=None if large else 2))
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder) / "run")
        write_run(run, plan, "3d", shape, 6, iterations=5, iterations_per_epoch=5, validate_every=0)
        try:
            train_fold(run, "3d", 0, device=device)
        except Exception as error:  # what does not fit is an answer
            return {"failed": f"{type(error).__name__}: {error}"[:300]}
    peak = torch.cuda.max_memory_allocated(where) / 2**30 if large else 0.0
    return {"patch": configuration.patch_size, "batch": configuration.batch_size, "peak gb": round(peak, 2)}
