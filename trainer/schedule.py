"""The length of a fold's schedule, what of its training depends on it, and the learning rate at each step.

`sgd`: polynomial decay with exponent 0.9 (Isensee et al., Nature Methods 2021); `adamw`: one cycle,
cosine up and down (Smith & Topin, arXiv:1708.07120). The rate is a function of the progress from 0
to 1, so that a schedule whose length is revised on the way still anneals to its end, without a jump.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from autoseg.plan.configuration import Training
from autoseg.run_folder.finished_fold import Event


def iterations_after(training: Training, events: tuple[Event, ...]) -> int:
    """Length of the schedule after all events."""
    return events[-1].iterations if events else training.iterations


def threads_after(threads: int, events: tuple[Event, ...]) -> int:
    """Threads after all events, of which the fold began with `threads`."""
    return next((event.threads for event in reversed(events) if event.threads is not None), threads)


def of_length(planned: Training, iterations: int, kept: Collection[str] = ()) -> Training:
    """The planned training as a schedule of another length asks for: mirrored axes, sequence dropout.

    Args:
        planned: as the plan has it, for `planned.iterations`.
        iterations: of the schedule.
        kept: names of fields that a person wrote, which stay as they are.
    """
    rule, changes = planned.by_length, dict[str, Any]()
    if rule is not None and iterations != planned.iterations:
        changes["mirror"] = rule.mirror if iterations >= rule.mirror_from else ()
        share = min(iterations, rule.full_dropout_from) / min(planned.iterations, rule.full_dropout_from)
        changes["sequence_dropout"] = min(1.0, round(planned.sequence_dropout * share, 3))
    return planned.changed(**{name: value for name, value in changes.items() if name not in kept})


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
