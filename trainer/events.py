"""Change the schedule of a fold during training: because of its time, of the number of threads, or of a collapse.

In: the training state of a fold and its time limit. Out: `Event`s that are added to the state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rich.console import Console

from autoseg.errors import AutosegError
from autoseg.run_folder.finished_fold import Event
from autoseg.terminal import format_duration
from trainer import checkpoint
from trainer.checkpoint import LogRow, State
from trainer.checkpoint_writer import CheckpointWriter
from trainer.learner import Learner
from trainer.patch_growth import NO_GROWTH, PatchGrowth
from trainer.schedule import iterations_after, progress, threads_after

MOST_RESTORES = 3
RATE_FACTOR_AFTER_COLLAPSE = 0.5
# a fold whose Dice was above `LEARNED` once has collapsed if its Dice falls below `NO_FOREGROUND`
NO_FOREGROUND, LEARNED = 0.001, 0.1
TOLERATED_OVERRUN = 1.02
WORTH_A_CHANGE = 0.1
"""The schedule is lengthened only if it grows by at least this share of its length."""

BELIEVED_AT_ONCE = 1.5
"""A change of the length by this factor or more is made after one epoch."""

EPOCHS_THAT_TELL = 5
"""A smaller change of at least a tenth waits for this many epochs, if more than this many are still to come."""

SMALL_CHANGES_FROM = 0.6
"""A change of less than a tenth waits until this share of the steps is done: then the pace is known well enough."""

RECENT_EPOCHS = 3
SAME_PACE = 1.2
"""Up to this factor between the last epochs and all epochs, a difference of pace counts as noise of the machine."""


class TrainingCollapsed(AutosegError):
    """Training collapsed, and setting it back did not help or is not possible."""


def collapsed(state: State, dice: float) -> bool:
    """Whether the network no longer predicts foreground, although it did in an earlier epoch.

    Args:
        state: training state with the log rows of earlier epochs.
        dice: mean foreground Dice of this epoch's patches.
    """
    return dice < NO_FOREGROUND and any(row.train_dice > LEARNED for row in state.rows)


def go_back(writer: CheckpointWriter, learner: Learner, state: State, console: Console, why: str) -> None:
    """Restore learner and state as they were at the end of an epoch; from there on learn more carefully.

    The learning rate is halved. States within an epoch may already contain the collapse, and so may the one at
    the end of the last epoch, which still found foreground in its first steps. So where training was set back to a
    state before, an older one is taken. AdamW's memory of large gradients keeps a network that predicts nothing
    where it is: it is shortened (`forget_quickly`), and gradients are clipped from then on (`gradient_clip`).

    Args:
        writer: writer of the fold's checkpoints, which keeps the states to go back to.
        learner: network and optimiser; restored in place.
        state: training state; restored in place, with a new event.
        console: console that tells the user.
        why: the sign of the collapse, for the user.

    Raises:
        TrainingCollapsed: training collapsed for the fourth time, or there is no state to go back to.
    """
    restored_to = [e.step for e in state.events if e.kind == "restored"]
    found = writer.to_go_back_to(restored_to)
    if found is None or len(restored_to) >= MOST_RESTORES:
        raise TrainingCollapsed(
            f"{writer.folder.parent}: training collapsed at step {state.step} ({why}) and could not be mended by "
            "smaller learning rates; lower `learning_rate` in plan.yaml, and look at the images for extreme intensities"
        )
    checkpoint.restore(found, learner)
    before = found.state
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
    # events after the restored checkpoint are undone too
    state.events = (*kept, event)
    learner.forget_quickly()
    # the time of the steps that are undone must not count for the pace
    checkpoint.forget_pace(state)
    restored = checkpoint.take(state, learner)
    writer.keep(restored)
    writer.write(restored, at_once=True)


def begin_with_pace(state: State, limit: float, of_step: float, known_by: str, console: Console) -> None:
    """Set the first length of a fold's schedule to the number of steps that its time affords.

    Args:
        state: training state of a fold that has not begun; gets an event if the length changes.
        limit: seconds that training may take.
        of_step: seconds per step, including the validations during training.
        known_by: where this pace comes from, for the user.
        console: console that tells the user.
    """
    length, affordable = state.training.iterations, max(1, int(limit / of_step))
    if not 1 / (1 + WORTH_A_CHANGE) < affordable / length < 1 + WORTH_A_CHANGE:
        why = (
            f"{format_duration(limit)} for steps of {of_step:.2g} s, {known_by}: {affordable} instead of {length} steps"
        )
        _change_length(state, affordable, why, console)


def revise_length(
    state: State,
    limit: float | None,
    console: Console,
    expected_validation: float = 0.0,
    growth: PatchGrowth = NO_GROWTH,
) -> None:
    """Set the length of the schedule to what the time affords at the present pace of the machine.

    Validations on whole cases are counted apart from the steps: those still to come take their own time. A longer
    schedule that gains less than a tenth is not worth a change; a shorter one is made only if the fold would end late.
    Because epochs vary, a small change waits until most of the schedule is done, a medium one waits for several
    epochs, and a large one is made after the first epoch.

    Args:
        state: training state; gets an event if the length changes.
        limit: value of `state.seconds` at which training must end; None = no time limit.
        console: console that tells the user.
        expected_validation: expected seconds of a validation on whole cases, used as long as none was measured.
        growth: growth of the patches, by which later steps take longer.
    """
    length = iterations_after(state.training, state.events)
    if limit is None or state.step >= length:
        return
    of_step, of_validation = pace_to_come(state, growth)
    of_validation = of_validation or expected_validation
    affordable = _affordable(state, limit, of_step, of_validation)
    change = affordable / length
    if change == 1:
        return
    late = _seconds_to_come(state, length, of_step, of_validation) > limit * TOLERATED_OVERRUN - state.seconds
    if _may_be_noise(state, length, change) or not (late or change >= 1 + WORTH_A_CHANGE):
        return
    why = f"a step takes {of_step:.2g} s: {affordable} instead of {length} steps, to end with the time"
    _change_length(state, affordable, why, console)


def _change_length(state: State, iterations: int, reason: str, console: Console) -> None:
    """Add an event that changes the length of the schedule from the present step on."""
    shorter = iterations < iterations_after(state.training, state.events)
    event = Event(
        kind="shortened" if shorter else "lengthened",
        step=state.step,
        iterations=iterations,
        rate_factor=1.0,
        reason=reason,
    )
    console.print(f"{'Fewer' if shorter else 'More'} steps: {reason}")
    state.events = (*state.events, event)


def _may_be_noise(state: State, length: int, change: float) -> bool:
    """Whether a change of the length waits for more epochs, because it may be due to noise of the pace."""
    size, per_epoch = max(change, 1 / change), state.training.iterations_per_epoch
    if size >= BELIEVED_AT_ONCE:
        return False
    if size < 1 + WORTH_A_CHANGE:
        return state.step < SMALL_CHANGES_FROM * length
    seen, to_come = len(state.rows) - state.pace_since, (length - state.step) / per_epoch
    return seen < EPOCHS_THAT_TELL < to_come


def tell_what_it_takes(state: State, limit: float | None, console: Console, growth: PatchGrowth = NO_GROWTH) -> None:
    """Tell the user how long a schedule of fixed length takes, compared with the time limit.

    Args:
        state: training state with at least one log row that counts for the pace.
        limit: value of `state.seconds` at which training should end; None = no time holds for it.
        console: console that tells the user.
        growth: growth of the patches, by which later steps take longer.
    """
    length = iterations_after(state.training, state.events)
    of_step, of_validation = pace_to_come(state, growth)
    takes = state.seconds + _seconds_to_come(state, length, of_step, of_validation)
    compared = ""
    if limit is not None:
        apart = format_duration(abs(takes - limit))
        compared = f": {apart} more than its time" if takes > limit else f": {apart} of its time left over"
    console.print(f"{length} steps, as you wrote, take {format_duration(takes)}{compared}")


def end_now(state: State, console: Console) -> None:
    """End the schedule at the present step, because the time is over within an epoch."""
    left_out = iterations_after(state.training, state.events) - state.step
    _change_length(state, state.step, f"the time is over: the last {left_out} steps are left out", console)


def change_threads(state: State, threads: int, why: str, console: Console) -> None:
    """Add an event for another number of threads, because results then differ in their last bits.

    Args:
        state: training state; gets the event.
        threads: number of threads from now on.
        why: reason for the change, for the user.
        console: console that tells the user.
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
    console.print(f"Threads: {event.reason}")
    state.events = (*state.events, event)
    # the pace so far was measured with another number of threads
    checkpoint.forget_pace(state)


def pace_to_come(state: State, growth: PatchGrowth = NO_GROWTH) -> tuple[float, float]:
    """Mean seconds of the steps that are still to come, and seconds per validation on whole cases."""
    of_step, of_validation = pace_of(state, growth)
    return of_step * growth.mean_work(progress(state.step, state.training, state.events)), of_validation


def pace_of(state: State, growth: PatchGrowth = NO_GROWTH) -> tuple[float, float]:
    """Seconds per step of the full patch and seconds per validation on whole cases, at the present pace.

    The state must have at least one log row that counts for the pace.
    """

    def work(start: int, end: int) -> float:
        return growth.work(start, end, state.training, state.events)

    return pace(state.rows, state.pace_since, state.pace_from, work)


def _number_of_steps(start: int, end: int) -> float:
    return end - start


def pace(
    rows: Sequence[LogRow],
    since: int = 0,
    start: tuple[int, float] = (0, 0.0),
    work: Callable[[int, int], float] = _number_of_steps,
) -> tuple[float, float]:
    """Seconds per step and seconds per validation on whole cases, from the rows of the log.

    The mean over all epochs is steadiest. If the last epochs have another pace, the machine has changed, and only they
    count. The first epoch, in which the machine warms up, counts only as long as there is no other. If every epoch
    ends with a validation, its time is part of the time per step, and the second value is 0.

    Args:
        rows: rows of the log; there must be more than `since`.
        since: number of first rows that do not count.
        start: step and seconds at which the first row that counts begins.
        work: function that returns the work of the steps from one to another (excluded), in steps of the full patch.
    """
    counting = rows[since:]
    before = [start, *((row.step, row.seconds) for row in counting[:-1])]
    epochs = [
        (work(step, row.step), row.seconds - seconds, row.val_dice is not None)
        for row, (step, seconds) in zip(counting, before, strict=True)
    ]
    plain = [epoch for epoch in epochs if not epoch[2]]
    steady = plain[1:] or plain or epochs
    of_step, recently = _mean_step(steady), _mean_step(steady[-RECENT_EPOCHS:])
    if not 1 / SAME_PACE < recently / of_step < SAME_PACE:
        of_step = recently
    validations = [max(0.0, seconds - of_step * steps) for steps, seconds, validated in epochs if validated]
    return of_step, sum(validations) / len(validations) if validations and plain else 0.0


def _mean_step(epochs: Sequence[tuple[float, float, bool]]) -> float:
    return sum(seconds for _, seconds, _ in epochs) / sum(steps for steps, _, _ in epochs)


def _affordable(state: State, limit: float, of_step: float, of_validation: float) -> int:
    """Length of the longest schedule that ends within the time limit, including validations on whole cases."""
    left, every = limit - state.seconds, state.training.validate_every * state.training.iterations_per_epoch
    lengths = [1]
    for validations in range(_validations_to_come(state, state.step + int(left / of_step)) + 1):
        # a schedule with this many validations ends at the latest where the next one would be due
        latest = (state.step // every + validations + 1) * every - state.step if every else math.inf
        lengths.append(int(min((left - of_validation * validations) / of_step, latest)))
    return state.step + max(lengths)


def _seconds_to_come(state: State, length: int, of_step: float, of_validation: float) -> float:
    return of_step * (length - state.step) + of_validation * _validations_to_come(state, length)


def _validations_to_come(state: State, length: int) -> int:
    """Number of validations on whole cases that are still to come before the last epoch."""
    every, per_epoch = state.training.validate_every, state.training.iterations_per_epoch
    if not every:
        return 0
    done, last = math.ceil(state.step / per_epoch), math.ceil(length / per_epoch)
    return max(0, (last - 1) // every - done // every)
