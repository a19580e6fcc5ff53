"""Finds the training time that the next fold of a run gets, from what the RUN folder says of the time so far.

Every fold gets the same training time. Time that a fold does not use, or that validation and report save
against their estimates, goes to the folds that follow. A fold whose seconds or iterations a person wrote into
`plan.yaml` keeps them. Of devices that train side by side, each has a queue of folds, and all have the same wall time.
The shares themselves are decided in `autoseg/plan/time_shares.py`.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.plan.plan import Plan
from autoseg.plan.time_shares import (
    SECONDS_TO_START,
    SECONDS_TO_START_BESIDE,
    Queue,
    seconds_of_next_fold,
    share_of_each,
    time_for_training,
)
from autoseg.run_folder.finished_fold import read_finished_folds
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import edited_in
from autoseg.run_folder.splits import read_splits
from autoseg.run_folder.time_spent import TimeSpent, read_time_spent
from autoseg.run_folder.timed_stage import Stage
from autoseg.terminal import format_duration
from autoseg.work.tries import read_tries
from autoseg.work.units import train_unit

Fold = tuple[str, int]
"""Configuration and number of a fold."""


@dataclass(frozen=True)
class FoldTime:
    """Training time that the next fold gets.

    Args:
        training_seconds: seconds that the fold is trained from now on; None = the plan decides.
        left_after: seconds of the run's time budget that are left after this training.
        pace: seconds per step of the last finished fold of this configuration; None = no fold is finished.
        note: message that compares a time that a person wrote with an equal share; empty where no person wrote one.
    """

    training_seconds: float | None
    left_after: float
    pace: float | None = None
    note: str = ""


def time_of_next_fold(
    run: RunFolder,
    plan: Plan,
    folds_left: Sequence[Fold],
    configurations: Sequence[str],
    report_seconds: float | None = None,
    edits: Sequence[str] = (),
    *,
    queues: Sequence[Sequence[Fold]] | None = None,
) -> FoldTime:
    """Return the training time of the next fold: an equal share of the time that is left.

    Args:
        run: RUN folder that holds the time spent so far and the finished folds.
        plan: plan of the run, with the time budget.
        folds_left: every (configuration, fold) that is not finished; the first is the next to be trained.
        configurations: configurations that this run trains; time spent on others in the same RUN does not count.
        report_seconds: expected seconds of all reports at the end; None = unknown.
        edits: dotted paths of the plan's fields that a person edited.
        queues: the folds that are not finished, for each of the devices that train side by side, those in training
            included; None = one device trains `folds_left`.
    """
    name, fold = folds_left[0]
    budget, planned = plan.time_budget_seconds, plan.configuration(name).training.seconds
    # the plan has no time limit, or a person removed it
    if budget is None or planned is None:
        return FoldTime(None, 0.0)
    spent, pace = read_time_spent(run), _pace_of_the_last(run, name)
    unspent = budget - spent.of_run(plan, configurations)
    by_device = [folds_left] if queues is None else queues
    names = {other for folds in by_device for other, _ in folds}
    of_a_person = {other for other in names if {"seconds", "iterations"} & edited_in("training", edits, other)}
    to_start = SECONDS_TO_START if queues is None else SECONDS_TO_START_BESIDE
    shared = []
    for folds in by_device:
        validation = _seconds_of_validation(run, plan, folds, to_start)
        left = time_for_training(budget, unspent, validation, report_seconds)
        apart = set[str]() if name in of_a_person else of_a_person
        shared.append(_queue(plan, spent, folds, left, apart))
    if name in of_a_person:
        wrote = "seconds" in edited_in("training", edits, name)
        note = _beside_an_equal_share(name, planned, share_of_each(shared)) if wrote else ""
        return FoldTime(None, unspent - planned, pace, note)
    seconds = seconds_of_next_fold(planned, spent.of(Stage("train", name, fold)), shared)
    return FoldTime(seconds, unspent - seconds, pace)


def _queue(plan: Plan, spent: TimeSpent, folds: Sequence[Fold], left: float, apart: set[str]) -> Queue:
    """Return the folds of a device that share its time; those of the configurations `apart` have their own time."""
    done = {pair: spent.of(Stage("train", *pair)) for pair in folds}
    for name, fold in folds:
        if name in apart:
            own = plan.configuration(name).training.seconds or 0.0
            left -= max(0.0, own - done.pop((name, fold)))
    return Queue(tuple(done.values()), left)


def _pace_of_the_last(run: RunFolder, name: str) -> float | None:
    """Return the seconds per step of the last fold that this machine finished, validation during training included."""
    here = (fold for fold, _ in run.folds(name) if _was_trained_here(run, name, fold))
    found = list(read_finished_folds(run, name, here).values())
    return found[-1].seconds_training / found[-1].steps if found else None


def _was_trained_here(run: RunFolder, name: str, fold: int) -> bool:
    """Whether this machine trained a fold last; so it is taken where nobody recorded it."""
    tries = read_tries(run, train_unit(name, fold)).last
    return not tries or tries[-1].host == platform.node()


def _beside_an_equal_share(name: str, own: float, equal: float) -> str:
    """Return a message that says how far a time that a person wrote is from an equal share."""
    more = "more" if own > equal else "less"
    apart = format_duration(abs(own - equal))
    return (
        f"{name}: a fold has {format_duration(own)}, as you wrote into plan.yaml: {apart} {more} than an equal share "
        "of what the budget has left"
    )


def _seconds_of_validation(run: RunFolder, plan: Plan, folds_left: Sequence[Fold], to_start: float) -> float:
    """Return the expected seconds of validation and start of all folds left.

    A validation is expected to take the mean of the finished folds, or what is planned where none is finished.

    Args:
        run: RUN folder that holds the finished folds.
        plan: plan of the run.
        folds_left: folds that are not finished.
        to_start: seconds that each of them takes to start.
    """
    seconds = 0.0
    folds = range(len(read_splits(run.splits)))
    for name in dict.fromkeys(name for name, _ in folds_left):
        took = [done.seconds_validation for done in read_finished_folds(run, name, folds).values()]
        planned = plan.configuration(name).training.validation_seconds or 0.0
        each = (sum(took) / len(took) if took else planned) + to_start
        seconds += each * sum(other == name for other, _ in folds_left)
    return seconds
