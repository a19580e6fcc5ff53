"""The length of a fold's schedule, the settings that depend on it, and the learning rate at each step.

In: the planned training settings and the events of a fold. Out: steps, settings and learning rates. `sgd` has a
polynomial decay with exponent 0.9 (Isensee et al., Nature Methods 2021); `adamw` has one cycle, cosine up and down
(Smith & Topin, arXiv:1708.07120). The learning rate is a function of the progress from 0 to 1. So a schedule whose
length is changed during training is still annealed to its end, without a jump.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from autoseg.plan.configuration import Training
from autoseg.run_folder.finished_fold import Event

CLIP_AFTER_COLLAPSE = 0.5
"""Twice the usual norm of a gradient of small lesions; from a checkpoint before a collapse it alone prevented the next
one (docs/experiments/lesions.md)."""


def iterations_after(training: Training, events: tuple[Event, ...]) -> int:
    """Length of the schedule in steps after all events."""
    return events[-1].iterations if events else training.iterations


def threads_after(threads: int, events: tuple[Event, ...]) -> int:
    """Number of threads after all events, of a fold that began with `threads`."""
    return next((event.threads for event in reversed(events) if event.threads is not None), threads)


def of_length(planned: Training, iterations: int, kept: Collection[str] = ()) -> Training:
    """The planned training settings with mirrored axes and sequence dropout adapted to another schedule length.

    Args:
        planned: training settings of the plan, for a schedule of `planned.iterations` steps.
        iterations: length of the schedule in steps.
        kept: names of fields that a person edited; they stay as they are.
    """
    rule, changes = planned.by_length, dict[str, Any]()
    if rule is not None and iterations != planned.iterations:
        changes["mirror"] = rule.mirror if iterations >= rule.mirror_from else ()
        share = min(iterations, rule.full_dropout_from) / min(planned.iterations, rule.full_dropout_from)
        changes["sequence_dropout"] = min(1.0, round(planned.sequence_dropout * share, 3))
    return planned.changed(**{name: value for name, value in changes.items() if name not in kept})


def progress(step: int, training: Training, events: tuple[Event, ...]) -> float:
    """Share of the schedule, from 0 to 1, that is done before step `step`.

    It is piecewise linear: from each event on it rises so that it reaches 1 at the new end.
    """
    done, start, end = 0.0, 0, training.iterations
    for event in events:
        if event.step > step:
            break
        done += (1 - done) * (event.step - start) / max(end - start, 1)
        start, end = event.step, event.iterations
    return min(1.0, done + (1 - done) * (step - start) / max(end - start, 1))


def gradient_clip(training: Training, events: tuple[Event, ...]) -> float:
    """Largest norm of the gradient: that of the settings, or after a collapse `CLIP_AFTER_COLLAPSE` for `adamw`."""
    if training.optimizer == "adamw" and any(event.kind == "restored" for event in events):
        return min(training.gradient_clip, CLIP_AFTER_COLLAPSE)
    return training.gradient_clip


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
