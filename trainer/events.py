"""What may change a fold's schedule on the way: it is late, or training collapsed."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from autoseg.errors import AutosegError
from trainer import checkpoint
from trainer.checkpoint import State
from trainer.learner import Learner
from trainer.schedule import Event, iterations_after

MOST_RESTORES = 3
RATE_FACTOR_AFTER_COLLAPSE = 0.5
# below: as good as no foreground; a fold that once was above `LEARNED` has collapsed
NO_FOREGROUND, LEARNED = 0.001, 0.1
TOLERATED_OVERRUN = 1.02


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
    """Put learner and state back to the last checkpoint, with half the learning rate from there on.

    Raises:
        TrainingCollapsed: for the fourth time, or before there is any checkpoint.
    """
    found = checkpoint.load(folder / "checkpoint")
    restores = sum(e.kind == "restored" for e in state.events)
    if found is None or restores >= MOST_RESTORES:
        raise TrainingCollapsed(
            f"{folder}: training collapsed at step {state.step} ({why}) and could not be mended by smaller learning "
            "rates; lower `learning_rate` in plan.yaml, and look at the images for extreme intensities"
        )
    before, tensors = found
    checkpoint.restore(tensors, learner.module, learner.average, learner.optimizer)
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
    checkpoint.save(folder / "checkpoint", state, learner.module, learner.average, learner.optimizer)


def shorten_if_late(state: State, limit: float | None, console: Console) -> None:
    """Shorten the schedule where at the present pace it would end after its time.

    The pace is that of the last epochs, so that a machine that slowed down shows.

    Args:
        state: gets the event.
        limit: seconds of training, of `state.seconds`; None = as long as it takes.
        console: tells the user.
    """
    length = iterations_after(state.training, state.events)
    if limit is None or state.step >= length:
        return
    recent = state.rows[-4:]
    start_step, start_seconds = (recent[0].step, recent[0].seconds) if len(recent) > 1 else (0, 0.0)
    pace = (state.seconds - start_seconds) / max(state.step - start_step, 1)
    if state.seconds + pace * (length - state.step) <= limit * TOLERATED_OVERRUN:
        return
    affordable = max(1, int((limit - state.seconds) / pace))
    event = Event(
        kind="shortened",
        step=state.step,
        iterations=state.step + affordable,
        rate_factor=1.0,
        reason=f"a step takes {pace:.2f} s, more than planned: {state.step + affordable} instead of {length} steps",
    )
    console.print(f"Late: {event.reason}")
    state.events = (*state.events, event)
