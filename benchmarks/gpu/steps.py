"""(b) Seconds and memory of a training step, by layout, search of algorithms, and compilation; and of nnU-Net's."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from autoseg.machine.device import resolve_device
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import Plan
from autoseg.terminal import open_console
from benchmarks.gpu import rival
from benchmarks.gpu.__main__ import Answers
from benchmarks.gpu.plans import kinds, planned
from trainer.compiled import use_compiled
from trainer.data.batch import Batch
from trainer.learner import Learner
from trainer.measure import random_batch

STEPS, STEPS_ON_CPU = 15, 2
LAST, FIRST = torch.channels_last_3d, torch.contiguous_format

FORMS: dict[str, tuple[torch.memory_format, bool, bool]] = {
    "channels last": (LAST, False, False),
    "channels last, searched": (LAST, True, False),
    "contiguous": (FIRST, False, False),
    "contiguous, searched": (FIRST, True, False),
    "contiguous, searched, compiled": (FIRST, True, True),
}
"""Memory layout, whether cuDNN looks for the fastest algorithm, and whether the network is compiled."""


def measure(device: str, data: Path | None, answers: Answers) -> None:
    where = resolve_device(device)
    for name, kind in kinds(where.type).items():
        plan, configuration = planned(kind)
        found: dict[str, Any] = {
            "patch": configuration.patch_size,
            "batch": configuration.batch_size,
            "planned gb": plan.memory_gb,
        }
        batch = random_batch(plan, configuration)
        for form in FORMS:
            if where.type == "cpu" and FORMS[form][2]:
                # a compiler takes minutes there, for nothing that is asked here
                continue
            try:
                found[form] = of_form(plan, configuration, batch, where, form)
            except Exception as error:  # a form that fails here is an answer too
                found[form] = {"failed": f"{type(error).__name__}: {error}"[:200]}
            answers[name] = found
        found["nnU-Net"] = rival.train_steps(kind, where, steps_on(where))
        answers[name] = found


def of_form(
    plan: Plan, configuration: Configuration, batch: Batch, device: torch.device, form: str
) -> dict[str, float]:
    """Median seconds of a step in a form, and its peak memory."""
    layout, searched, compiled = FORMS[form]
    with ExitStack() as stack:
        stack.enter_context(torch.backends.cudnn.flags(enabled=True, benchmark=searched))
        for module in ("autoseg.network.build", "trainer.data.batch"):
            stack.enter_context(mock.patch(f"{module}.memory_format", lambda _: layout))
        learner = Learner(plan, configuration, configuration.training, device, seed=1)
        moved = batch.to(device)
        if compiled:
            use_compiled(learner, moved, open_console())
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        seconds = timed(lambda: learner.step(moved, 1e-4, 1)[0].item(), steps_on(device))
    peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0
    return {"seconds": seconds, "peak gb": round(peak, 2)}


def steps_on(device: torch.device) -> int:
    """Number of steps that are timed."""
    return STEPS_ON_CPU if device.type == "cpu" else STEPS


def timed(step: Callable[[], object], steps: int) -> float:
    """Median seconds of so many steps after two that are not timed."""
    for _ in range(2):
        step()
    seconds = []
    for _ in range(steps):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
