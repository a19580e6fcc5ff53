"""The pace of a fold: its time limit, its first length, and what happens if the plan was made for another machine."""

from __future__ import annotations

from typing import Literal

from autoseg.errors import OtherPace
from trainer import events
from trainer.fold_state import Fold

EPOCHS_BEFORE_PACE = 2
"""After this many epochs a fold's pace is compared with the planned pace: in the first epoch the machine warms up."""

ANOTHER_MACHINE = 1.5
"""From this factor between the planned and the real pace, the plan counts as made for another machine."""

ANOTHER_AT_ONCE = 2.5
"""The same factor after only one epoch: at such a pace a second epoch may cost a large part of the time."""

FAR_ON_FRACTION = 1 / 3
"""A resumed fold that has used more than this share of its time is not begun anew for another pace."""

OVERRUN_WITHIN_AN_EPOCH = 1.05
"""Training ends even within an epoch when it has taken this many times its time limit."""

AtOtherPace = Literal["go on", "tell", "raise"]
"""What happens if the first epochs show that the plan was made for another machine."""


def set_limit(task: Fold, seconds_from_now: float | None) -> None:
    """Set the time limit of the fold: its share of the run's time, also from an earlier start, else the plan's."""
    state = task.state
    if seconds_from_now is not None and "seconds" not in task.kept:
        state.limit = state.seconds + seconds_from_now
    task.limit = state.training.seconds if state.limit is None else state.limit


def begin_with_known_pace(task: Fold, pace_before: float | None) -> None:
    """Set the first length of the schedule to what the fold's time affords, where a pace is known."""
    planned = task.planned_pace
    # the fold before had the same growth; the plan's pace is that of the full patch
    pace = pace_before or (planned and planned * task.growth.mean_work(0.0))
    if task.limit is not None and pace is not None and not task.length_is_fixed:
        known_by = "as planned" if pace_before is None else "as in the fold before"
        events.begin_with_pace(task.state, task.limit, pace, known_by, task.console)


def compare_pace(task: Fold, at_other_pace: AtOtherPace) -> None:
    """Compare the real pace with the planned one after the first epochs.

    Where the length is fixed, the user is only told how long training takes.

    Raises:
        OtherPace: the pace is that of another machine, and the caller asked for an error in order to plan again.
    """
    state = task.state
    seen = len(state.rows) - state.pace_since
    if task.follows is not None:
        return
    if task.length_is_fixed:
        limit = task.planned.seconds if task.limit is None else task.limit
        # a short schedule may end after its first epoch
        if limit is not None and (seen == EPOCHS_BEFORE_PACE or (state.step >= task.length and seen == 1)):
            # by epochs, without a share of the time of a run, it has no time to keep to
            has_time = state.requested.epochs is None or state.limit is not None
            events.tell_what_it_takes(state, limit if has_time else None, task.console, task.growth)
        return
    planned = task.planned_pace
    if seen not in (1, EPOCHS_BEFORE_PACE) or at_other_pace == "go on" or planned is None:
        return
    real, _ = events.pace_of(state, task.growth)
    times = max(real / planned, planned / real)
    if times < (ANOTHER_MACHINE if seen == EPOCHS_BEFORE_PACE else ANOTHER_AT_ONCE):
        return
    # the plan is kept if much of a resumed fold would be lost, or if other programs or small patches, which take more
    # than their share of the time of large ones, explain the slow pace
    goes_on = state.pace_from[0] > 0 and task.limit is not None and state.seconds > FAR_ON_FRACTION * task.limit
    explained = task.threads.leaves_cores or task.patch_size != task.configuration.patch_size
    if goes_on or (real > planned and explained):
        return
    found = OtherPace(planned, real)
    if at_other_pace == "raise":
        raise found
    task.console.print(
        f"{found}: the plan was made for another machine, or in a busy moment. The length of the schedule follows; "
        "planning again (autoseg run, or plan-and-preprocess --replan, in a new RUN folder where folds are trained) "
        f"would find a {'richer' if real < planned else 'poorer'} network for this one.",
        style="yellow",
    )


def end_if_time_is_over(task: Fold) -> None:
    """End training within an epoch if the machine is so slow that the time limit is exceeded before the epoch ends."""
    state = task.state
    if task.limit is None or task.length_is_fixed or state.step >= task.length:
        return
    # a resumed fold can be shortened at the end of its first epoch, so that the learning rate is still annealed
    if state.pace_from[0] > 0 and len(state.rows) == state.pace_since:
        return
    if task.seconds > task.limit * OVERRUN_WITHIN_AN_EPOCH:
        events.end_now(task.state, task.console)
