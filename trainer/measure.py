"""Measure time and memory of one training step of a configuration on this machine.

In: a plan, a configuration and a device. Out: a `StepCost`, which also tells how many cores other programs used.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import psutil
import torch

from autoseg.image.labels import Labels
from autoseg.machine.cores import available_cores
from autoseg.machine.device import computing_on, half_precision, missing_layers_named, resolve_device
from autoseg.machine.other_programs import DISTURBING, OtherPrograms
from autoseg.machine.step_cost import FORWARD_SHARE, StepCost
from autoseg.machine.threads import computing_with
from autoseg.memory import lacks_memory
from autoseg.plan.configuration import Configuration
from autoseg.plan.network_input import input_channels
from autoseg.plan.plan import Plan
from trainer.data.batch import Batch
from trainer.learner import Learner
from trainer.lesion_loss import lesions_for_loss

ENOUGH_SECONDS = 1.0
"""No further step is timed once the timed steps of a configuration have taken this many seconds together."""

SHARE_IN_HALF_PRECISION = 1 / 8
"""Time of a forward pass in half precision, as a share of a training step in single precision
(docs/experiments/number-types.md)."""

GAIN_OF_THREADS = 0.77
"""With n threads a step is n to this power times as fast as with one thread: 1.7 times with two
(docs/experiments/threads.md)."""


STEPS_BY_PROCESSOR_TIME = 2
SECONDS_TO_TELL = 0.3
"""Minimum seconds after which the use by other programs can be told: the system counts in hundredths of a second."""


def measure_step(
    plan: Plan,
    configuration: Configuration,
    device: str = "auto",
    steps: int = 3,
    enough_seconds: float = ENOUGH_SECONDS,
    threads: int | None = None,
    partly_annotated: bool = False,
) -> StepCost:
    """Measure time and memory of a training step (forward, backward, optimiser) on random patches.

    Wall time tells the machine's pace only while no other program computes. If others do, the step is repeated with
    one thread. The processor time of this thread is the time that the step would take undisturbed, and it is divided
    by the known gain of several threads.

    Args:
        plan: plan that holds the sequences and the classes.
        configuration: configuration that holds the input, patch size, batch size and network to measure.
        device: device on which the step is measured.
        steps: number of timed steps after a warm-up step, of which the median is taken. Slow steps are timed once;
            very fast ones are repeated until other programs would show.
        enough_seconds: no further step is timed once the timed steps have taken this many seconds together.
        threads: number of threads that compute on a CPU; None = torch's present number.
        partly_annotated: whether nobody looked for some class in some case, so that the loss is the marginal one.

    Returns:
        Seconds per step, peak memory, and the cores that other programs used. The seconds are infinite if the step
        does not fit into memory.

    Raises:
        InputError: this machine has no such device, or torch lacks a layer of the network on it.
    """
    where = resolve_device(device)
    with computing_on(where), missing_layers_named(where):
        ready = random_batch(plan, configuration, partly_annotated=partly_annotated)
        return _measure(plan, configuration, ready, where, steps, enough_seconds, threads)


def _measure(
    plan: Plan,
    configuration: Configuration,
    ready: Batch,
    where: torch.device,
    steps: int,
    enough_seconds: float,
    threads: int | None,
) -> StepCost:
    # share of a step's time that a forward pass in prediction takes, where its dtype may differ from training
    narrower = half_precision(where, learning=False) != half_precision(where, learning=True)
    share = SHARE_IN_HALF_PRECISION if narrower else FORWARD_SHARE
    # beside a GPU other processes find the lesions of a batch; on a CPU their time is part of a step
    made = partial(_with_lesions, ready, configuration, plan.labels)
    before = psutil.Process().memory_info().rss
    if where.type == "cuda":
        # torch keeps the peak of the whole process, which may come from an earlier measurement
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(where)
    on_cpu, seconds, others = where.type == "cpu", list[float](), OtherPrograms()
    with computing_with(threads or torch.get_num_threads()) as computing:
        try:
            learner = Learner(plan, configuration, configuration.training, where, seed=0)
            step = partial(_take_step, learner, made if on_cpu else lambda: ready)
            used_by_others = _used_by_others(others) if on_cpu else 0.0
            if used_by_others < DISTURBING:
                # the first step is a warm-up and not timed
                step()
                seconds = _wall_seconds(step, steps, enough_seconds)
                used_by_others = others.measure().others if on_cpu else 0.0
            if used_by_others >= DISTURBING:
                # beside other programs threads wait for each other; the smallest time is nearest to the undisturbed one
                seconds = [min([*seconds, _undisturbed(step, computing.count)])]
        except (RuntimeError, MemoryError) as error:
            if not lacks_memory(error):
                raise
            return StepCost(float("inf"), 0, share)
        if where.type == "cuda":
            peak = torch.cuda.max_memory_allocated(where)
        else:
            peak = max(0, psutil.Process().memory_info().rss - before)
    return StepCost(statistics.median(seconds), peak, share, min(used_by_others, float(available_cores())))


def random_batch(plan: Plan, configuration: Configuration, *, partly_annotated: bool = False) -> Batch:
    """A batch of noise like those of a configuration, with many small components of every class.

    Its lesions are found where their loss is used, which costs most for such a label.

    Args:
        plan: plan that holds the sequences and the classes.
        configuration: configuration that holds the input, patch size and batch size.
        partly_annotated: whether it is as if nobody had looked for the last class in the case of the first patch.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (configuration.batch_size, *configuration.patch_size)
    label = _small_pieces(shape, plan.labels.classes, generator)
    image = torch.randn((shape[0], len(input_channels(plan, configuration)), *shape[1:]), generator=generator)
    missing = None
    if partly_annotated:
        missing = torch.zeros((shape[0], plan.labels.classes), dtype=torch.bool)
        missing[0, -1] = True
    return _with_lesions(Batch(image, label, 0, missing=missing), configuration, plan.labels)


def _with_lesions(batch: Batch, configuration: Configuration, labels: Labels) -> Batch:
    """The batch with the lesions of its label, where their loss is used."""
    missing = None if batch.missing is None else batch.missing.numpy()
    return replace(batch, lesions=lesions_for_loss(batch.label.numpy(), configuration, labels, missing))


def _take_step(learner: Learner, made: Callable[[], Batch]) -> None:
    """Take a step and wait until the device has ended it."""
    loss, _ = learner.step(made().to(learner.device), 1e-4, 1)
    loss.item()


def _used_by_others(others: OtherPrograms) -> float:
    """Number of cores that other programs use, after a wait that is long enough to tell."""
    time.sleep(max(0.0, SECONDS_TO_TELL - others.seconds_since))
    return others.measure().others


def _wall_seconds(step: Callable[[], object], steps: int, enough_seconds: float) -> list[float]:
    """Wall seconds of each timed step: a slow step is timed once, fast ones until other programs would show."""
    seconds: list[float] = []
    while not seconds or (sum(seconds) < enough_seconds and (len(seconds) < steps or sum(seconds) < SECONDS_TO_TELL)):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return seconds


def _undisturbed(step: Callable[[], object], threads: int) -> float:
    """Estimated undisturbed seconds of a step with `threads` threads, from the processor time of one thread."""
    torch.set_num_threads(1)
    # the first step is a warm-up and not timed
    step()
    used = []
    for _ in range(STEPS_BY_PROCESSOR_TIME):
        start = time.process_time()
        step()
        used.append(time.process_time() - start)
    return float(min(used) / threads**GAIN_OF_THREADS)


def _small_pieces(shape: tuple[int, ...], classes: int, generator: torch.Generator) -> torch.Tensor:
    """A label (B, z, y, x) with many small components of every class, for which a lesion-wise loss costs most."""
    label = torch.zeros(shape, dtype=torch.uint8)
    pieces = label[:, ::8, ::8, ::8]
    pieces[:] = torch.randint(1, classes, pieces.shape, generator=generator, dtype=torch.uint8)
    return label
