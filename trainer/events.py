"""What may change a fold's schedule on the way: its time, the threads at hand, or a collapse of training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from autoseg.errors import AutosegError
from autoseg.run_folder.finished_fold import Event
from autoseg.terminal import format_duration
from trainer import checkpoint
from trainer.checkpoint import LogRow, State
from trainer.learner import Learner
from trainer.schedule import iterations_after, threads_after

MOST_RESTORES = 3
RATE_FACTOR_AFTER_COLLAPSE = 0.5
# below: as good as no foreground; a fold that once was above `LEARNED` has collapsed
NO_FOREGROUND, LEARNED = 0.001, 0.1
TOLERATED_OVERRUN = 1.02
WORTH_A_CHANGE = 0.1
"""Of the schedule's length, from which it is lengthened."""

BELIEVED_AT_ONCE = 1.5
"""Factor on the length for which the first epoch alone is enough."""

EPOCHS_THAT_TELL = 5
"""Before a smaller change, where there are as many to come."""

SMALL_CHANGES_FROM = 0.6
"""Share of the schedule, from which what is little too long is shortened: the pace is known, and enough is to come."""

RECENT_EPOCHS = 3
SAME_PACE = 1.2
"""Factor between the last epochs and all of them up to which the machine is the same: its noise."""


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
    kept = tuple(e for e in state.events if e.step <= before.step)
    event = Event(
        kind="restored",
        step=before.step,
        iterations=iterations_after(state.training, kept),
        rate_factor=RATE_FACTOR_AFTER_COLLAPSE,
        reason=f"{why} at step {state.step}: back to step {before.step}, learning rate halved",
    )
    console.print(f"Training collapsed: {event.reason}")
    state.step, state.rows = before.step, before.rows
    state.loss_sum, state.counts = before.loss_sum, before.counts
    # what came after that state is undone too
    state.events = (*kept, event)
    # the time of what was undone is no time of a step
    checkpoint.forget_pace(state)
    checkpoint.save(folder / "checkpoint", state, learner)


def begin_with_pace(state: State, limit: float, of_step: float, known_by: str, console: Console) -> None:
    """Begin a fold with the length that its time affords.

    Args:
        state: of a fold that has not begun; gets the event.
        limit: seconds of training.
        of_step: seconds a step, looks at whole cases included.
        known_by: from where, for the user.
        console: tells the user.
    """
    length, affordable = state.training.iterations, max(1, int(limit / of_step))
    if not 1 / (1 + WORTH_A_CHANGE) < affordable / length < 1 + WORTH_A_CHANGE:
        why = (
            f"{format_duration(limit)} for steps of {of_step:.2g} s, {known_by}: {affordable} instead of {length} steps"
        )
        _change_length(state, affordable, why, console)


def revise_length(state: State, limit: float | None, console: Console, expected_look: float = 0.0) -> None:
    """Make the schedule as long as its time affords at the present pace.

    A machine that became slower or faster shows in the pace. Looks at whole cases count for what is still to
    come of them, not as slow steps. A change of less than a tenth is not worth one, but where the fold would end
    late. Since epochs vary, a small change waits until most of the schedule is done, and a middling one for several
    epochs; a great one is made after the first.

    Args:
        state: gets the event.
        limit: seconds of training, of `state.seconds`; None = as long as it takes.
        console: tells the user.
        expected_look: seconds of a look at whole cases as long as there was none.
    """
    length = iterations_after(state.training, state.events)
    if limit is None or state.step >= length:
        return
    of_step, of_look = pace_of(state)
    of_look = of_look or expected_look
    affordable = _affordable(state, limit, of_step, of_look)
    change = affordable / length
    if change == 1:
        return
    late = _seconds_to_come(state, length, of_step, of_look) > limit * TOLERATED_OVERRUN - state.seconds
    if _may_be_noise(state, length, change) or not (late or change >= 1 + WORTH_A_CHANGE):
        return
    why = f"a step takes {of_step:.2g} s: {affordable} instead of {length} steps, to end with the time"
    _change_length(state, affordable, why, console)


def _change_length(state: State, iterations: int, reason: str, console: Console) -> None:
    """The event of another length from this step on."""
    shorter = iterations < iterations_after(state.training, state.events)
    event = Event(
        kind="shortened" if shorter else "lengthened",
        step=state.step,
        iterations=iterations,
        rate_factor=1.0,
        reason=reason,
    )
    console.print(f"{'Fewer' if shorter else 'More'} steps: {reason}", highlight=False)
    state.events = (*state.events, event)


def _may_be_noise(state: State, length: int, change: float) -> bool:
    """Whether a change of the length can wait until more epochs tell of it."""
    size, per_epoch = max(change, 1 / change), state.training.iterations_per_epoch
    if size >= BELIEVED_AT_ONCE:
        return False
    if size < 1 + WORTH_A_CHANGE:
        return state.step < SMALL_CHANGES_FROM * length
    seen, to_come = len(state.rows) - state.pace_since, (length - state.step) / per_epoch
    return seen < EPOCHS_THAT_TELL < to_come


def tell_what_it_takes(state: State, limit: float, console: Console) -> None:
    """Say what a length that a person wrote takes, beside the time that there is.

    Args:
        state: with rows that tell the pace.
        limit: seconds of training, of `state.seconds`.
        console: tells the user.
    """
    length = iterations_after(state.training, state.events)
    of_step, of_look = pace_of(state)
    takes = state.seconds + _seconds_to_come(state, length, of_step, of_look)
    apart = format_duration(abs(takes - limit))
    compared = f"{apart} more than its time" if takes > limit else f"{apart} of its time left over"
    console.print(f"{length} steps, as you wrote, take {format_duration(takes)}: {compared}", highlight=False)


def end_now(state: State, console: Console) -> None:
    """End the schedule with the steps that are done: the time is over, and within an epoch none could be foreseen."""
    left_out = iterations_after(state.training, state.events) - state.step
    _change_length(state, state.step, f"the time is over: the last {left_out} steps are left out", console)


def change_threads(state: State, threads: int, why: str, console: Console) -> None:
    """Go on with another number of threads, which gives other bits.

    Args:
        state: gets the event.
        threads: from now on.
        why: they are others.
        console: tells the user.
    """
    before = threads_after(state.threads, state.events)
    event = Event(
        kind="threads",
        step=state.step,
        iterations=iterations_after(state.training, state.events),
        rate_factor=1.0,
        threads=threads,
        reason=f"{threads} instead of {before} threads: {why}",
    )
    console.print(f"Threads: {event.reason}", highlight=False)
    state.events = (*state.events, event)
    # the pace so far was that of other threads
    checkpoint.forget_pace(state)


def pace_of(state: State) -> tuple[float, float]:
    """Seconds that a step takes now, and seconds of a look at whole cases; there is a row that tells."""
    return pace(state.rows, state.pace_since, state.pace_from)


def pace(rows: Sequence[LogRow], since: int = 0, start: tuple[int, float] = (0, 0.0)) -> tuple[float, float]:
    """Seconds that a step takes, and seconds of a look at whole cases.

    The mean of all epochs is steadiest; where the last ones have another pace, the machine has become another, and
    they count alone. The first epoch, in which things warm up, counts only as long as there is no other. Where every
    epoch ends with a look, it is part of the step's time.

    Args:
        rows: of the log, more than `since`.
        since: number of rows that do not count.
        start: step and seconds from which the first that counts does.
    """
    counting = rows[since:]
    before = [start, *((row.step, row.seconds) for row in counting[:-1])]
    epochs = [
        (row.step - step, row.seconds - seconds, row.val_dice is not None)
        for row, (step, seconds) in zip(counting, before, strict=True)
    ]
    plain = [epoch for epoch in epochs if not epoch[2]]
    steady = plain[1:] or plain or epochs
    of_step, recently = _mean_step(steady), _mean_step(steady[-RECENT_EPOCHS:])
    if not 1 / SAME_PACE < recently / of_step < SAME_PACE:
        of_step = recently
    looks = [max(0.0, seconds - of_step * steps) for steps, seconds, looked in epochs if looked]
    return of_step, sum(looks) / len(looks) if looks and plain else 0.0


def _mean_step(epochs: Sequence[tuple[int, float, bool]]) -> float:
    return sum(seconds for _, seconds, _ in epochs) / sum(steps for steps, _, _ in epochs)


def _affordable(state: State, limit: float, of_step: float, of_look: float) -> int:
    """Length of the longest schedule that ends with the time, looks at whole cases included."""
    left, every = limit - state.seconds, state.training.validate_every * state.training.iterations_per_epoch
    lengths = [1]
    for looks in range(_looks_to_come(state, state.step + int(left / of_step)) + 1):
        # with so many looks it ends at the latest where the next one would be taken
        latest = (state.step // every + looks + 1) * every - state.step if every else math.inf
        lengths.append(int(min((left - of_look * looks) / of_step, latest)))
    return state.step + max(lengths)


def _seconds_to_come(state: State, length: int, of_step: float, of_look: float) -> float:
    return of_step * (length - state.step) + of_look * _looks_to_come(state, length)


def _looks_to_come(state: State, length: int) -> int:
    """Epochs before the last one after which whole cases are looked at."""
    every, per_epoch = state.training.validate_every, state.training.iterations_per_epoch
    if not every:
        return 0
    done, last = math.ceil(state.step / per_epoch), math.ceil(length / per_epoch)
    return max(0, (last - 1) // every - done // every)
