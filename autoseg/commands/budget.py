"""How the time of a run is shared out to what is still to do: nothing of it is left lying, nothing overdrawn.

Every fold that is left has the same training time. What a fold did not use, or what validation and
report take less than was thought, goes to the folds that follow. A fold whose time or length a person wrote
has that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.plan.plan import Plan
from autoseg.run_folder.finished_fold import read_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.plan_edits import edited_in
from autoseg.run_folder.splits import read_splits
from autoseg.run_folder.time_spent import TimeSpent, read_time_spent
from autoseg.terminal import format_duration

SHARE_FOR_THE_REPORT = 0.02
"""Of a time budget, kept for the evaluation at its end as long as nothing tells what it takes."""

LEAST_SHARE = 0.1
"""Of a fold's planned time, that it gets even where the budget is spent."""

SECONDS_TO_START = 1.0
"""Of a fold, before its first step and after its last prediction."""

RESERVE = 0.002
"""Of a time budget, for what no one foresees; it ends in time."""


@dataclass(frozen=True)
class FoldTime:
    """Time of the next fold.

    Args:
        share: seconds that it is trained from now on; None = as its plan says.
        left_after: seconds of the whole budget that are left then.
        pace: seconds a step of the last fold of this configuration; None = there is none.
        note: what a time that a person wrote costs or leaves over; empty where there is none.
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
    """Seconds of the next fold's training.

    Args:
        run: the RUN folder.
        plan: its plan.
        folds_left: every (configuration, fold) that is not finished; the first is the next.
        configurations: of this run; the time that others took on the same RUN does not count.
        report_seconds: that all reports at the end are expected to take; None = nothing is known of it.
        edits: dotted paths of the plan's fields that a person wrote.
    """
    name, fold = folds_left[0]
    budget, planned = plan.time_budget_seconds, plan.configuration(name).training.seconds
    # planned without a limit, or edited to have none
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
    # a budget that is spent already still gets a model
    share = max(LEAST_SHARE * planned, equal_share(list(done.values()), left) - done[name, fold])
    return FoldTime(share, unspent - share, _pace_of_the_last(run, name))


def _pace_of_the_last(run: RunFolder, name: str) -> float | None:
    """Seconds a step, looks at whole cases included, of the last fold that has finished."""
    found = [finished for fold, _ in run.folds(name) if (finished := read_finished(run, name, fold)) is not None]
    return found[-1].seconds_training / found[-1].steps if found else None


def _beside_an_equal_share(name: str, own: float, equal: float) -> str:
    """What a fold whose time a person wrote costs the others, or leaves them."""
    more = "more" if own > equal else "less"
    apart = format_duration(abs(own - equal))
    return (
        f"{name}: a fold has {format_duration(own)}, as you wrote into plan.yaml: {apart} {more} than an equal share "
        "of what the budget has left"
    )


def spent_on(spent: TimeSpent, plan: Plan, configurations: Sequence[str]) -> float:
    """Seconds that a run has spent; what other configurations took on the same RUN folder does not count.

    Args:
        spent: of all stages.
        plan: names all configurations.
        configurations: of this run.
    """
    others = set(plan.configurations) - set(configurations)
    return spent.total - spent.of([stage for stage in spent.seconds if others & set(stage.split())])


def equal_share(done: Sequence[float], left: float) -> float:
    """What each has in the end, where `left` is given to those that have had least.

    Args:
        done: what each has had.
        left: to be given; where it is negative nobody gets anything.
    """
    ordered = sorted(done)
    for count in range(len(ordered), 0, -1):
        level = (left + sum(ordered[:count])) / count
        if level >= ordered[count - 1]:
            return level
    return ordered[0]


def training_stage(configuration: str, fold: int) -> str:
    """Name in `time_spent.json` of a fold's training."""
    return f"train {configuration} fold {fold}"


def _seconds_of_validation(run: RunFolder, plan: Plan, folds_left: Sequence[tuple[str, int]]) -> float:
    """What predicting the validation cases of the folds that are left takes: by those finished, else by the plan."""
    seconds = 0.0
    for name in dict.fromkeys(name for name, _ in folds_left):
        folds = range(len(read_splits(run.splits)))
        finished = {fold: done for fold in folds if (done := read_finished(run, name, fold)) is not None}
        took = [done.seconds_validation for done in finished.values()]
        planned = plan.configuration(name).training.validation_seconds or 0.0
        each = (sum(took) / len(took) if took else planned) + SECONDS_TO_START
        seconds += each * sum(other == name for other, _ in folds_left)
    return seconds
