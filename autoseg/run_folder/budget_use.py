"""How a run used its time: the budget, the seconds that passed, those of useful work, and the changes of schedules.

A budget is wall time, so that it is compared with the seconds that passed; useful work is a part of these.
It is computed from `time_spent.json`, the plan and the summaries of the finished folds.
"""

from __future__ import annotations

from dataclasses import dataclass

from autoseg.plan.plan import Plan
from autoseg.run_folder.finished_fold import read_finished_folds
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.time_spent import read_time_spent
from autoseg.run_folder.timed_stage import Stage
from autoseg.terminal import format_duration

WORK = ("preprocess", "select", "report", "study report")
"""Kinds of stages that count as used in full; of training, only steps and validation count."""


@dataclass(frozen=True)
class BudgetUse:
    """How a run has used its time so far.

    Args:
        budget: time budget of the whole run in seconds; None = no limit.
        used: seconds spent on optimiser steps, validation, preprocessing, selection and reports.
        spent: seconds of all stages together; beside `used` these are reading, checking, planning and starting.
        revisions: one sentence for each change of the plan or of a fold's schedule, such as another length or a
            return to an earlier checkpoint.
        thread_changes: how often a fold changed its number of threads because of other programs.
    """

    budget: float | None
    used: float
    spent: float
    revisions: tuple[str, ...]
    thread_changes: int

    def text(self) -> str:
        """Return one line that tells the user how time was used."""
        planned = "no limit was planned" if self.budget is None else f"planned {format_duration(self.budget)}"
        share = f" ({self.share})" if self.share is not None else ""
        return (
            f"{planned}, took {format_duration(self.spent)}{share}, of which {format_duration(self.used)} for steps, "
            f"validation, preprocessing, selection and report; {len(self.revisions)} revisions of schedules, "
            f"{self.thread_changes} changes of threads"
        )

    @property
    def share(self) -> str | None:
        """Seconds that passed, as a percentage of the budget, such as `97%`; None without a budget."""
        return None if self.budget is None else f"{self.spent / self.budget:.0%}"


def budget_use(run: RunFolder, plan: Plan) -> BudgetUse:
    """Return how a run has used its time, over all configurations and finished folds.

    Raises:
        RunFolderError: a file of the RUN folder is malformed.
    """
    spent = read_time_spent(run)
    used = sum(seconds for stage, seconds in spent.by_stage.items() if stage.kind in WORK)
    revisions, thread_changes = list[str](), 0
    for name in run.configurations_with_models():
        for fold, finished in read_finished_folds(run, name, (fold for fold, _ in run.folds(name))).items():
            own = finished.seconds_training + finished.seconds_validation
            # of folds that were trained side by side, their share of the wall time
            used += own * spent.share_counted(Stage("train", name, fold))
            of_threads = [event for event in finished.events if event.kind == "threads"]
            thread_changes += len(of_threads)
            others = [event for event in finished.events if event not in of_threads]
            revisions += [f"{name}, fold {fold}, step {event.step}: {event.reason}" for event in others]
    again = [f"{name}: planned again after its first epochs" for name in plan.planned_again]
    return BudgetUse(plan.time_budget_seconds, used, spent.total, (*again, *revisions), thread_changes)
