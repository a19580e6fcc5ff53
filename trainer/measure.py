"""What one training step of a configuration costs on this machine, measured."""

from __future__ import annotations

import statistics
import time

import psutil
import torch

from autoseg.device import half_precision, resolve_device
from autoseg.network_input import input_channels
from autoseg.plan import Configuration, Plan
from autoseg.step_cost import FORWARD_SHARE, StepCost
from trainer.learner import Learner

ENOUGH_SECONDS = 1.0
"""That measuring one configuration may take, once a step has been counted."""

SHARE_IN_HALF_PRECISION = 1 / 8
"""Of a step in single precision, what a forward pass in half precision takes (docs/experiments.md)."""


def measure_step(
    plan: Plan,
    configuration: Configuration,
    device: str = "auto",
    steps: int = 3,
    enough_seconds: float = ENOUGH_SECONDS,
) -> StepCost:
    """Time and memory of a forward and backward pass and an optimiser step, on random patches.

    Args:
        plan: gives the sequences and classes.
        configuration: input, patch, batch and network to measure.
        device: where.
        steps: counted steps at most, after one that is not counted; the median is taken. Slow ones, of which one
            tells as much as several fast ones, are counted once.
        enough_seconds: after so many, all steps together, no further step is taken.

    Returns:
        Seconds a step, and the peak memory; infinite seconds where it does not fit into memory.
    """
    where = resolve_device(device)
    # of the time of a step in the number type of training
    narrower = half_precision(where, learning=False) != half_precision(where, learning=True)
    share = SHARE_IN_HALF_PRECISION if narrower else FORWARD_SHARE
    generator = torch.Generator().manual_seed(0)
    shape = (configuration.batch_size, *configuration.patch_size)
    label = _small_pieces(shape, plan.labels.classes, generator)
    image = torch.randn((shape[0], len(input_channels(plan, configuration)), *shape[1:]), generator=generator)
    before = psutil.Process().memory_info().rss
    if where.type == "cuda":
        # the peak is of the whole process: an earlier measurement must not stand for this one
        torch.cuda.reset_peak_memory_stats(where)
    try:
        learner = Learner(plan, configuration, configuration.training, where, seed=0)
        seconds: list[float] = []
        while len(seconds) < 2 or (len(seconds) <= steps and sum(seconds) < enough_seconds):
            start = time.perf_counter()
            learner.step(image, label, 1e-4, len(seconds))
            seconds.append(time.perf_counter() - start)
    except (torch.OutOfMemoryError, MemoryError):
        return StepCost(float("inf"), 0, share)
    if where.type == "cuda":
        peak = torch.cuda.max_memory_allocated(where)
    else:
        peak = max(0, psutil.Process().memory_info().rss - before)
    return StepCost(statistics.median(seconds[1:]), peak, share)


def _small_pieces(shape: tuple[int, ...], classes: int, generator: torch.Generator) -> torch.Tensor:
    """A label (B, z, y, x) of many small pieces of every class, at which a loss by lesion costs what it may cost."""
    label = torch.zeros(shape, dtype=torch.uint8)
    pieces = label[:, ::8, ::8, ::8]
    pieces[:] = torch.randint(1, classes, pieces.shape, generator=generator, dtype=torch.uint8)
    return label
