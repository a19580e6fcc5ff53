"""A run that was timed: what became of its budget, and of the plan and the folds in it; kept in a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pandas as pd

from autoseg.files import FileModel, write_text
from autoseg.plan.plan import read_plan
from autoseg.run_folder.finished_fold import Finished, read_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from autoseg.run_folder.time_spent import read_time_spent
from benchmarks.beside.figures import machine
from benchmarks.quiet import QUIET_CORES

CONFIG = "3d"
WORKED_ON = ("preprocess", "report")
"""First words of the stages that count as used, beside steps and validations; planning and starting up do not."""


class TimedRun(FileModel):
    """What `autoseg run` made of its budget.

    Args:
        name: of its RUN folder.
        data: what the table calls the data set.
        budget: seconds.
        seconds: wall time of its commands, from the first beginning to the end; of a run that was started by hand
            what it says itself.
        seconds_before: of the budget, spent on its RUN before these commands.
        seconds_told: that it says itself to have spent, all stages together.
        seconds_used: in which steps, planned validations, preprocessing and the report were worked on.
        killed: how often.
        by_hand: whether it was started by hand.
        cores_of_others: that other programs used before it began; None where nobody looked.
        features: of the planned network's first stage.
        planned_again: configurations that were.
        steps: of each fold.
        revisions: of the schedules' lengths, all folds together.
        changes_of_threads: likewise.
        mean_dice: that the report gives.
        dice: of each case, the mean over its classes; without cases that have none.
        machine: on which.
        versions: of what ran.
        date: on which it was measured.
    """

    schema_version: Literal[1] = 1
    name: str
    data: str
    budget: float
    seconds: float
    seconds_before: float
    seconds_told: float
    seconds_used: float
    killed: int
    by_hand: bool
    cores_of_others: float | None
    features: int
    planned_again: tuple[str, ...]
    steps: tuple[int, ...]
    revisions: int
    changes_of_threads: int
    mean_dice: float
    dice: dict[str, float]
    machine: str
    versions: dict[str, str]
    date: str

    @property
    def share_used(self) -> float:
        """Of the budget."""
        return self.seconds_used / self.budget

    @property
    def ended_at(self) -> float:
        """Share of the budget that the clock showed when it ended."""
        return (self.seconds_before + self.seconds) / self.budget

    @property
    def remark(self) -> str:
        """What a reader has to know of how it came about; mostly nothing."""
        told = []
        if self.killed:
            told.append(f"killed {self.killed} times; {self.seconds_told:.0f} s by its own account")
        if self.by_hand:
            told.append("started by hand, its time by its own account")
        if (self.cores_of_others or 0.0) >= QUIET_CORES:
            told.append(f"began while other programs used {self.cores_of_others:.1f} cores")
        return "; ".join(told)


def timed_run(
    run: RunFolder,
    *,
    data: str,
    budget: float,
    seconds: float | None,
    versions: dict[str, str],
    seconds_before: float = 0.0,
    killed: int = 0,
    cores_of_others: float | None = None,
) -> TimedRun:
    """What a run that has ended made of its budget.

    Args:
        run: its folder, the report in it.
        data: what the table calls the data set.
        budget: seconds.
        seconds: wall time; None = it was started by hand.
        versions: of what ran.
        seconds_before: of the budget, spent on its RUN before.
        killed: how often.
        cores_of_others: that other programs used before it began.
    """
    plan, spent, folds = read_plan(run.plan), read_time_spent(run), finished_folds(run)
    of_stages = sum(seconds for stage, seconds in spent.seconds.items() if stage.startswith(WORKED_ON))
    events = [event for finished in folds for event in finished.events]
    return TimedRun(
        name=run.path.name,
        data=data,
        budget=budget,
        seconds=spent.total if seconds is None else seconds,
        seconds_before=seconds_before,
        seconds_told=spent.total,
        seconds_used=of_stages + sum(fold.seconds_training + fold.seconds_validation for fold in folds),
        killed=killed,
        by_hand=seconds is None,
        cores_of_others=cores_of_others,
        features=plan.configuration(CONFIG).network.features[0],
        planned_again=plan.planned_again,
        steps=tuple(finished.steps for finished in folds),
        revisions=sum(event.kind in ("shortened", "lengthened") for event in events),
        changes_of_threads=sum(event.kind == "threads" for event in events),
        mean_dice=json.loads((run.report / "summary.json").read_text(encoding="utf-8"))["mean_dice"],
        dice={case: dice for finished in folds for case, dice in dice_of_cases(finished).items()},
        machine=machine(),
        versions=versions,
        date=datetime.now(UTC).date().isoformat(),
    )


def finished_folds(run: RunFolder) -> list[Finished]:
    """All folds of a run, in order; an error where one has not finished."""
    folds = [read_finished(run, CONFIG, fold) for fold in range(len(read_splits(run.splits)))]
    finished = [fold for fold in folds if fold is not None]
    if len(finished) < len(folds):
        raise ValueError(f"{run.path}: {len(folds) - len(finished)} of {len(folds)} folds have not finished")
    return finished


def dice_of_cases(finished: Finished) -> dict[str, float]:
    """Mean over classes of the Dice of each validation case that has a class."""
    of_cases = pd.DataFrame.from_dict(finished.dice, orient="index", dtype=float).mean(axis=1).dropna()
    return {str(case): float(dice) for case, dice in of_cases.items()}


def write_timed_run(path: Path, found: TimedRun) -> None:
    """Keep it."""
    write_text(path, found.model_dump_json(indent=1) + "\n")


def read_timed_run(path: Path) -> TimedRun:
    """One that was kept."""
    return TimedRun.model_validate_json(path.read_text(encoding="utf-8"))
