"""What may change a fold's schedule on the way: it is late, or training collapsed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from autoseg.errors import AutosegError
from autoseg.finished import Event
from trainer import checkpoint
from trainer.checkpoint import LogRow, State
from trainer.learner import Learner
from trainer.schedule import iterations_after

MOST_RESTORES = 3
RATE_FACTOR_AFTER_COLLAPSE = 0.5
# below: as good as no foreground; a fold that once was above `LEARNED` has collapsed
NO_FOREGROUND, LEARNED = 0.001, 0.1
TOLERATED_OVERRUN = 1.02
RECENT_EPOCHS = 3


class TrainingCollapsed(AutosegError):
    """Training collapsed more often than its rule mends."""


def collapsed(state: State, dice: float) -> bool:
    """Whether foreground, once found, is not predicted any more.

    Args:
        state: with the rows of earlier epochs.
        dice: foreground Dice of this epoch's patches.
    """
    return dice < NO_FOREGROUND and any(row.train_dice > LEARNED for row in state.rows)


def go_back(folder: Path, learner: Learner, state: State, console: Console, why: str) -> None:
    """Put learner and state back to the last end of an epoch, with half the learning rate from there on.

    Checkpoints within an epoch may hold the collapse already.

    Raises:
        TrainingCollapsed: for the fourth time.
    """
    found = checkpoint.load(folder / "checkpoint", judged_every=state.training.iterations_per_epoch)
    restores = sum(e.kind == "restored" for e in state.events)
    if found is None or restores >= MOST_RESTORES:
        raise TrainingCollapsed(
            f"{folder}: training collapsed at step {state.step} ({why}) and could not be mended by smaller learning "
            "rates; lower `learning_rate` in plan.yaml, and look at the images for extreme intensities"
        )
    before, tensors = found
    checkpoint.restore(before, tensors, learner)
    event = Event(
        kind="restored",
        step=before.step,
        iterations=iterations_after(state.training, state.events),
        rate_factor=RATE_FACTOR_AFTER_COLLAPSE,
        reason=f"{why} at step {state.step}: back to step {before.step}, learning rate halved",
    )
    console.print(f"Training collapsed: {event.reason}")
    state.step, state.rows = before.step, before.rows
    state.loss_sum, state.counts = before.loss_sum, before.counts
    state.events = (*state.events, event)
    checkpoint.save(folder / "checkpoint", state, learner)


def shorten_if_late(state: State, limit: float | None, console: Console) -> None:
    """Shorten the schedule where at the present pace it would end after its time.

    The pace is that of the last epochs, so that a machine that slowed down shows. Looks at whole cases
    count for what is still to come of them, not as slow steps.

    Args:
        state: gets the event.
        limit: seconds of training, of `state.seconds`; None = as long as it takes.
        console: tells the user.
    """
    length = iterations_after(state.training, state.events)
    if limit is None or state.step >= length:
        return
    of_step, of_look = pace(state.rows)
    looking = of_look * _looks_to_come(state, length)
    if state.seconds + of_step * (length - state.step) + looking <= limit * TOLERATED_OVERRUN:
        return
    affordable = max(1, int((limit - state.seconds - looking) / of_step))
    # a shorter schedule has fewer looks, which leaves time for steps
    looking = of_look * _looks_to_come(state, state.step + affordable)
    affordable = max(1, int((limit - state.seconds - looking) / of_step))
    event = Event(
        kind="shortened",
        step=state.step,
        iterations=state.step + affordable,
        rate_factor=1.0,
        reason=f"a step takes {of_step:.2f} s, more than planned: {state.step + affordable} instead of {length} steps",
    )
    console.print(f"Late: {event.reason}")
    state.events = (*state.events, event)


def pace(rows: Sequence[LogRow]) -> tuple[float, float]:
    """Seconds that a step takes, by the last epochs, and seconds of a look at whole cases.

    The first epoch, in which things warm up, counts only as long as there is no other. Where every
    epoch ends with a look, it is part of the step's time.

    Args:
        rows: of the log, at least one.
    """
    before = [(0, 0.0), *((row.step, row.seconds) for row in rows[:-1])]
    epochs = [
        (row.step - step, row.seconds - seconds, row.val_dice is not None)
        for row, (step, seconds) in zip(rows, before, strict=True)
    ]
    plain = [epoch for epoch in epochs if not epoch[2]]
    recent = (plain[1:] or plain or epochs)[-RECENT_EPOCHS:]
    of_step = sum(seconds for _, seconds, _ in recent) / sum(steps for steps, _, _ in recent)
    looks = [max(0.0, seconds - of_step * steps) for steps, seconds, looked in epochs if looked]
    return of_step, sum(looks) / len(looks) if looks and plain else 0.0


def _looks_to_come(state: State, length: int) -> int:
    """Epochs before the last one after which whole cases are looked at."""
    every, per_epoch = state.training.validate_every, state.training.iterations_per_epoch
    if not every:
        return 0
    done, last = math.ceil(state.step / per_epoch), math.ceil(length / per_epoch)
    return max(0, (last - 1) // every - done // every)
