"""How the time of a run was used: planned, worked with, and what was revised on the way."""

from __future__ import annotations

from dataclasses import dataclass

from autoseg.plan.plan import Plan
from autoseg.run_folder.finished_fold import read_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.time_spent import read_time_spent
from autoseg.terminal import format_duration

WORK = ("preprocess", "report", "study report")
"""Beginnings of the stages that count as use whole; of training its steps and predictions do."""


@dataclass(frozen=True)
class TimeUsed:
    """Seconds of a run so far.

    Args:
        budget: for the whole run; None = no limit.
        used: in which optimiser steps, validations, preprocessing and reports were worked on.
        spent: of all stages together; the rest is reading, checking, planning and starting.
        revisions: what changed the plan or the length of a fold's schedule, a sentence each.
        thread_changes: how often a fold gave up threads for other programs, or took them back.
    """

    budget: float | None
    used: float
    spent: float
    revisions: tuple[str, ...]
    thread_changes: int

    def text(self) -> str:
        """One line for a person."""
        if self.budget is None:
            return f"no limit was planned; {format_duration(self.used)} of {format_duration(self.spent)} used"
        share = f"{self.used / self.budget:.0%}"
        return (
            f"planned {format_duration(self.budget)}, used {format_duration(self.used)} ({share}) for steps, "
            f"validation, preprocessing and report; {len(self.revisions)} revisions of schedules, "
            f"{self.thread_changes} changes of threads"
        )


def time_used(run: RunFolder, plan: Plan) -> TimeUsed:
    """How time was used, over all that is trained.

    Raises:
        RunFolderError: a file of the RUN folder is malformed.
    """
    spent = read_time_spent(run)
    used = sum(seconds for stage, seconds in spent.seconds.items() if stage.startswith(WORK))
    revisions, thread_changes = list[str](), 0
    for name in run.configurations_with_models():
        for fold, _ in run.folds(name):
            if (finished := read_finished(run, name, fold)) is None:
                continue
            used += finished.seconds_training + finished.seconds_validation
            of_threads = [event for event in finished.events if event.kind == "threads"]
            thread_changes += len(of_threads)
            others = [event for event in finished.events if event not in of_threads]
            revisions += [f"{name}, fold {fold}, step {event.step}: {event.reason}" for event in others]
    again = [f"{name}: planned again after its first epochs" for name in plan.planned_again]
    return TimeUsed(plan.time_budget_seconds, used, spent.total, (*again, *revisions), thread_changes)
