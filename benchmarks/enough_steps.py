"""Measures how many training steps of a fold a plan should afford before it may use a larger network, within one time.

    python -m benchmarks.enough_steps DATASET FOLDER [--minutes 4] [--steps 600 1500] [--folds 0 1 2 3 4]

For each number of `--steps` a plan is made for the same time; its steps are timed with all threads of this process, as
for a user. Then folds are trained for their planned steps, however long these take, and predict their validation cases.
Printed are: what was planned, the Dice of each fold, the mean Dice over the cases of those folds that are finished
for all plans, and the paired difference to the first number with its 95 % bootstrap interval.

If it is stopped or killed, the same command continues. Once all plans are made, a second process may train other folds
beside the first, each on one core with `OMP_NUM_THREADS=1`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from rich.table import Table

import autoseg
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import read_plan
from autoseg.run_folder.finished_fold import Finished, read_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import open_console
from benchmarks.beside.preprocess import spacing_of
from benchmarks.study_missing import difference, set_configuration
from planner.budget import candidate_chooser

CONFIG = "3d"
FOLDS = 5  # number of folds that the time is planned for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("folder", type=Path, help="where everything goes")
    parser.add_argument("--minutes", type=float, default=4, help="that a fold may take")
    parser.add_argument("--steps", type=int, nargs="+", default=[600, 1500], help="that a plan must afford")
    parser.add_argument("--folds", type=int, nargs="*", default=list(range(FOLDS)), help="to train; none: plan alone")
    options = parser.parse_args()
    runs = {steps: RunFolder(options.folder / f"{options.minutes:g}min_{steps}") for steps in options.steps}
    for steps, run in runs.items():
        plan(options.dataset, run, steps, options.minutes)
    for fold in options.folds:
        for run in runs.values():
            autoseg.train(run.path, fold=fold, config=CONFIG)
    show(runs)


def plan(dataset: Path, run: RunFolder, steps: int, minutes: float) -> None:
    """Plan as if `steps` were enough, remove the plan's time limit so that all steps are done, and preprocess."""
    if not run.plan.exists() or configuration_of(run).training.seconds is not None:
        budget = FOLDS * minutes * 60
        with mock.patch.object(candidate_chooser, "enough_steps", return_value=steps):
            autoseg.plan_and_preprocess(
                dataset, run.path, config=CONFIG, time_budget=budget, plan_only=True, replan=run.plan.exists()
            )
        planned = configuration_of(run)
        unlimited = planned.training.changed(seconds=None)
        set_configuration(run.path, CONFIG, planned.changed(training=unlimited))
    # a second call on the same run keeps the plan as it is, and preprocesses by it
    autoseg.plan_and_preprocess(dataset, run.path, config=CONFIG)


def configuration_of(run: RunFolder) -> Configuration:
    return read_plan(run.plan).configuration(CONFIG)


def show(runs: dict[int, RunFolder]) -> None:
    ended = {steps: ended_folds(run) for steps, run in runs.items()}
    folds = sorted(set.intersection(*(set(of_run) for of_run in ended.values())))
    if not folds:
        return
    first = next(iter(runs))
    named = ("enough", "features", "patch", "spacing, mm", "steps", "s a fold", *(f"fold {fold}" for fold in folds))
    table = Table(*named, "all", f"minus {first}, 95 % interval", "cases")
    for steps, run in runs.items():
        dice = [dice_of_cases(ended[steps][fold]) for fold in folds]
        against = pd.concat([dice_of_cases(ended[first][fold]) for fold in folds])
        every = pd.concat(dice)
        seconds = [ended[steps][fold].seconds_training for fold in folds]
        means = [f"{values.mean():.4f}" for values in (*dice, every)]
        difference_to_first = difference(every - against)
        table.add_row(
            str(steps), *planned_as(run), f"{np.mean(seconds):.0f}", *means, difference_to_first, str(every.size)
        )
    open_console().print(table)


def planned_as(run: RunFolder) -> tuple[str, ...]:
    """Features of the first stage, patch size, spacing and steps of a run's plan, as text."""
    planned = configuration_of(run)
    patch = "×".join(map(str, planned.patch_size))
    return str(planned.network.features[0]), patch, spacing_of(planned), str(planned.training.iterations)


def ended_folds(run: RunFolder) -> dict[int, Finished]:
    found = {fold: read_finished(run, CONFIG, fold) for fold in range(FOLDS)}
    return {fold: finished for fold, finished in found.items() if finished is not None}


def dice_of_cases(finished: Finished) -> pd.Series:
    """Mean over classes of the Dice of each validation case; NaN where no class defines it."""
    return pd.DataFrame.from_dict(finished.dice, orient="index", dtype=float).mean(axis=1)


if __name__ == "__main__":
    main()
