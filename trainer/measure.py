"""What one training step of a configuration costs on this machine, measured so that a busy moment shows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import psutil
import torch

from autoseg.machine.cores import available_cores
from autoseg.machine.device import half_precision, resolve_device
from autoseg.machine.other_programs import DISTURBING, OtherPrograms
from autoseg.machine.step_cost import FORWARD_SHARE, StepCost
from autoseg.machine.threads import computing_with
from autoseg.plan.configuration import Configuration
from autoseg.plan.network_input import input_channels
from autoseg.plan.plan import Plan
from trainer.learner import Learner

ENOUGH_SECONDS = 1.0
"""That measuring one configuration may take, once a step has been counted."""

SHARE_IN_HALF_PRECISION = 1 / 8
"""Of a step in single precision, what a forward pass in half precision takes (docs/experiments/number-types.md)."""

GAIN_OF_THREADS = 0.77
"""Power of the number of threads by which a step is faster than with one: 1.7 times with two
(docs/experiments/threads.md)."""


STEPS_BY_PROCESSOR_TIME = 2
SECONDS_TO_TELL = 0.3
"""In which what other programs use is seen: the system counts in hundredths of a second."""


def measure_step(
    plan: Plan,
    configuration: Configuration,
    device: str = "auto",
    steps: int = 3,
    enough_seconds: float = ENOUGH_SECONDS,
    threads: int | None = None,
) -> StepCost:
    """Time and memory of a forward and backward pass and an optimiser step, on random patches.

    Wall time tells the machine's pace only while nothing else computes. Where other programs did, the step is
    taken with one thread, whose processor time is what it would take alone, and the gain of more threads is
    taken from experience.

    Args:
        plan: gives the sequences and classes.
        configuration: input, patch, batch and network to measure.
        device: where.
        steps: counted steps at most, after one that is not counted; the median is taken. Slow ones, of which one
            tells as much as several fast ones, are counted once.
        enough_seconds: after so many, all steps together, no further step is taken.
        threads: that compute on a CPU; None = as many as torch now has.

    Returns:
        Seconds a step, the peak memory, and what other programs used; infinite seconds where it does not fit
        into memory.
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
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(where)
    on_cpu, seconds, others = where.type == "cpu", list[float](), OtherPrograms()
    with computing_with(threads or torch.get_num_threads()) as computing:
        try:
            learner = Learner(plan, configuration, configuration.training, where, seed=0)
            step = partial(learner.step, image, label, 1e-4, 1)
            used_by_others = _used_by_others(others) if on_cpu else 0.0
            if used_by_others < DISTURBING:
                # the first is not counted: things warm up
                step()
                seconds = _wall_seconds(step, steps, enough_seconds)
                used_by_others = others.look().others if on_cpu else 0.0
            if used_by_others >= DISTURBING:
                # beside other programs several threads wait for each other; the least of both is nearest to quiet
                seconds = [min([*seconds, _undisturbed(step, computing.count)])]
        except (torch.OutOfMemoryError, MemoryError):
            return StepCost(float("inf"), 0, share)
        if where.type == "cuda":
            peak = torch.cuda.max_memory_allocated(where)
        else:
            peak = max(0, psutil.Process().memory_info().rss - before)
    return StepCost(statistics.median(seconds), peak, share, min(used_by_others, float(available_cores())))


def _used_by_others(others: OtherPrograms) -> float:
    """Cores that other programs use, over long enough a time to tell."""
    time.sleep(max(0.0, SECONDS_TO_TELL - others.seconds_since))
    return others.look().others


def _wall_seconds(step: Callable[[], object], steps: int, enough_seconds: float) -> list[float]:
    """What steps take by the wall clock: of slow ones one is enough, quick ones go on until others would show."""
    seconds: list[float] = []
    while not seconds or (sum(seconds) < enough_seconds and (len(seconds) < steps or sum(seconds) < SECONDS_TO_TELL)):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return seconds


def _undisturbed(step: Callable[[], object], threads: int) -> float:
    """Seconds of a step with `threads` threads if nothing else computed, by the processor time of one thread."""
    torch.set_num_threads(1)
    # not counted: things warm up
    step()
    used = []
    for _ in range(STEPS_BY_PROCESSOR_TIME):
        start = time.process_time()
        step()
        used.append(time.process_time() - start)
    return float(min(used) / threads**GAIN_OF_THREADS)


def _small_pieces(shape: tuple[int, ...], classes: int, generator: torch.Generator) -> torch.Tensor:
    """A label (B, z, y, x) of many small pieces of every class, at which a loss by lesion costs what it may cost."""
    label = torch.zeros(shape, dtype=torch.uint8)
    pieces = label[:, ::8, ::8, ::8]
    pieces[:] = torch.randint(1, classes, pieces.shape, generator=generator, dtype=torch.uint8)
    return label
