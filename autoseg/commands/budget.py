"""Shares the time budget of a run out to the folds that are still to train, before each fold.

Every fold gets the same training time. Time that a fold does not use, or that validation and report save
against their estimates, goes to the folds that follow. A fold whose seconds or iterations a person wrote into
`plan.yaml` keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.plan.plan import Plan
from autoseg.run_folder.finished_fold import read_finished_folds
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import edited_in
from autoseg.run_folder.splits import read_splits
from autoseg.run_folder.time_spent import TimeSpent, read_time_spent
from autoseg.terminal import format_duration

SHARE_FOR_THE_REPORT = 0.02
"""Fraction of the time budget that is kept for the reports at the end while their time is unknown."""

LEAST_SHARE = 0.1
"""Minimum fraction of its planned time that a fold gets, even over budget."""

SECONDS_TO_START = 1.0
"""Seconds that a fold takes before its first step and after its last prediction together."""

RESERVE = 0.002
"""Fraction of the time budget that is kept for unforeseen delays, so that the run ends in time."""


@dataclass(frozen=True)
class FoldTime:
    """Training time that the next fold gets.

    Args:
        share: seconds that the fold is trained from now on; None = the plan decides.
        left_after: seconds of the run's time budget that are left after this training.
        pace: seconds per step of the last finished fold of this configuration; None = no fold is finished.
        note: message that compares a time that a person wrote with an equal share; empty where no person wrote one.
    """

    share: float | None
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
    spent = read_time_spent(run)
    unspent = budget - spent_on(spent, plan, configurations)
    kept = (SHARE_FOR_THE_REPORT * budget if report_seconds is None else report_seconds) + RESERVE * budget
    left = unspent - kept - _seconds_of_validation(run, plan, folds_left)
    of_a_person = {other for other, _ in folds_left if {"seconds", "iterations"} & edited_in("training", edits, other)}
    done = {pair: spent.of([training_stage(*pair)]) for pair in folds_left}
    if name in of_a_person:
        wrote = "seconds" in edited_in("training", edits, name)
        equal = equal_share(list(done.values()), left)
        note = _beside_an_equal_share(name, planned, equal) if wrote else ""
        return FoldTime(None, unspent - planned, _pace_of_the_last(run, name), note)
    for other, index in folds_left:
        if other in of_a_person:
            own = plan.configuration(other).training.seconds or 0.0
            left -= max(0.0, own - done.pop((other, index)))
    # even where the budget is spent, the fold gets a model
    share = max(LEAST_SHARE * planned, equal_share(list(done.values()), left) - done[name, fold])
    return FoldTime(share, unspent - share, _pace_of_the_last(run, name))


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


def spent_on(spent: TimeSpent, plan: Plan, configurations: Sequence[str]) -> float:
    """Return the seconds that a run has spent, without those of other configurations in the same RUN folder.

    Args:
        spent: time spent on each stage in the RUN folder.
        plan: plan that names all configurations.
        configurations: configurations that this run trains.
    """
    others = set(plan.configurations) - set(configurations)
    return spent.total - spent.of([stage for stage in spent.seconds if others & set(stage.split())])


def equal_share(done: Sequence[float], left: float) -> float:
    """Return the total seconds up to which every fold is filled, those that have had least first.

    Args:
        done: seconds that each fold has had so far.
        left: seconds to share out; where it is negative, no fold gets more.
    """
    ordered = sorted(done)
    for count in range(len(ordered), 0, -1):
        level = (left + sum(ordered[:count])) / count
        if level >= ordered[count - 1]:
            return level
    return ordered[0]


def training_stage(configuration: str, fold: int) -> str:
    """Return the name that a fold's training has in `time_spent.json`."""
    return f"train {configuration} fold {fold}"


def _seconds_of_validation(run: RunFolder, plan: Plan, folds_left: Sequence[tuple[str, int]]) -> float:
    """Return the expected validation seconds of all folds left: mean of the finished folds, else the plan's."""
    seconds = 0.0
    folds = range(len(read_splits(run.splits)))
    for name in dict.fromkeys(name for name, _ in folds_left):
        took = [done.seconds_validation for done in read_finished_folds(run, name, folds).values()]
        planned = plan.configuration(name).training.validation_seconds or 0.0
        each = (sum(took) / len(took) if took else planned) + SECONDS_TO_START
        seconds += each * sum(other == name for other, _ in folds_left)
    return seconds
