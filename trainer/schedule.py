"""The learning rate at each step, and what may change it on the way.

`sgd`: polynomial decay with exponent 0.9 (Isensee et al., Nature Methods 2021); `adamw`: one cycle,
cosine up and down (Smith & Topin, arXiv:1708.07120). The rate is a function of the progress from 0
to 1, so that a schedule shortened on the way still anneals to its end.
"""

from __future__ import annotations

import math

from autoseg.finished import Event
from autoseg.plan import Training


def iterations_after(training: Training, events: tuple[Event, ...]) -> int:
    """Length of the schedule after all events."""
    return events[-1].iterations if events else training.iterations


def progress(step: int, training: Training, events: tuple[Event, ...]) -> float:
    """Share of the schedule that is done before `step`.

    Piecewise linear: from each event on it runs so as to reach 1 at the new end.
    """
    done, start, end = 0.0, 0, training.iterations
    for event in events:
        if event.step > step:
            break
        done += (1 - done) * (event.step - start) / max(end - start, 1)
        start, end = event.step, event.iterations
    return min(1.0, done + (1 - done) * (step - start) / max(end - start, 1))


def learning_rate(step: int, training: Training, events: tuple[Event, ...]) -> float:
    """Learning rate of optimiser step `step`, counted from 0."""
    done = progress(step, training, events)
    factor = math.prod(e.rate_factor for e in events if e.step <= step)
    if training.optimizer == "sgd":
        return training.learning_rate * factor * (1 - done) ** 0.9
    if done < training.warmup:
        rise = 0.5 * (1 - math.cos(math.pi * done / training.warmup))
        return training.learning_rate * factor * (0.04 + 0.96 * rise)
    fall = 0.5 * (1 + math.cos(math.pi * (done - training.warmup) / (1 - training.warmup)))
    return training.learning_rate * factor * max(fall, 1e-4)
