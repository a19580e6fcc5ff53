"""Finds the training time that the next fold of a run gets, from what the RUN folder says of the time so far.

Every fold gets the same training time. Time that a fold does not use, or that validation and report save
against their estimates, goes to the folds that follow. A fold whose seconds or iterations a person wrote into
`plan.yaml` keeps them. The shares themselves are decided in `autoseg/plan/time_shares.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.plan.plan import Plan
from autoseg.plan.time_shares import SECONDS_TO_START, equal_share, seconds_of_next_fold, time_for_training
from autoseg.run_folder.finished_fold import read_finished_folds
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import edited_in
from autoseg.run_folder.splits import read_splits
from autoseg.run_folder.time_spent import read_time_spent
from autoseg.run_folder.timed_stage import Stage
from autoseg.terminal import format_duration


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
    folds_left: Sequence[tuple[str, int]],
    configurations: Sequence[str],
    report_seconds: float | None = None,
    edits: Sequence[str] = (),
) -> FoldTime:
    """Return the training time of the next fold: an equal share of the time that is left.

    Args:
        run: RUN folder that holds the time spent so far and the finished folds.
        plan: plan of the run, with the time budget.
        folds_left: every (configuration, fold) that is not finished; the first is the next to be trained.
        configurations: configurations that this run trains; time spent on others in the same RUN does not count.
        report_seconds: expected seconds of all reports at the end; None = unknown.
        edits: dotted paths of the plan's fields that a person edited.
    """
    name, fold = folds_left[0]
    budget, planned = plan.time_budget_seconds, plan.configuration(name).training.seconds
    # the plan has no time limit, or a person removed it
    if budget is None or planned is None:
        return FoldTime(None, 0.0)
    spent, pace = read_time_spent(run), _pace_of_the_last(run, name)
    unspent = budget - spent.of_run(plan, configurations)
    left = time_for_training(budget, unspent, _seconds_of_validation(run, plan, folds_left), report_seconds)
    of_a_person = {other for other, _ in folds_left if {"seconds", "iterations"} & edited_in("training", edits, other)}
    done = {pair: spent.of(Stage("train", *pair)) for pair in folds_left}
    if name in of_a_person:
        wrote = "seconds" in edited_in("training", edits, name)
        equal = equal_share(list(done.values()), left)
        note = _beside_an_equal_share(name, planned, equal) if wrote else ""
        return FoldTime(None, unspent - planned, pace, note)
    for other, index in folds_left:
        if other in of_a_person:
            own = plan.configuration(other).training.seconds or 0.0
            left -= max(0.0, own - done.pop((other, index)))
    seconds = seconds_of_next_fold(planned, done[name, fold], list(done.values()), left)
    return FoldTime(seconds, unspent - seconds, pace)


def _pace_of_the_last(run: RunFolder, name: str) -> float | None:
    """Return the seconds per step of the last finished fold, validation during training included."""
    found = list(read_finished_folds(run, name, (fold for fold, _ in run.folds(name))).values())
    return found[-1].seconds_training / found[-1].steps if found else None


def _beside_an_equal_share(name: str, own: float, equal: float) -> str:
    """Return a message that says how far a time that a person wrote is from an equal share."""
    more = "more" if own > equal else "less"
    apart = format_duration(abs(own - equal))
    return (
        f"{name}: a fold has {format_duration(own)}, as you wrote into plan.yaml: {apart} {more} than an equal share "
        "of what the budget has left"
    )


def _seconds_of_validation(run: RunFolder, plan: Plan, folds_left: Sequence[tuple[str, int]]) -> float:
    """Return the expected seconds of validation and start of all folds left.

    A validation is expected to take the mean of the finished folds, or what is planned where none is finished.
    """
    seconds = 0.0
    folds = range(len(read_splits(run.splits)))
    for name in dict.fromkeys(name for name, _ in folds_left):
        took = [done.seconds_validation for done in read_finished_folds(run, name, folds).values()]
        planned = plan.configuration(name).training.validation_seconds or 0.0
        each = (sum(took) / len(took) if took else planned) + SECONDS_TO_START
        seconds += each * sum(other == name for other, _ in folds_left)
    return seconds
