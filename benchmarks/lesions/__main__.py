"""Compares ideas for plans that find lesions, at equal time on two cores.

    python -m benchmarks.lesions FOLDER --data DATA [--minutes 4] [--steps N] [--folds 0 1] [--seeds 1234] [--arms …]

Each idea (`arms.py`) is a plan for folds of so many minutes, of which two are trained side by side, each by one thread
and by the clock of its processor time, so that other programs cannot disturb them. Ideas that differ in their training
alone have the same plan otherwise. Their out-of-fold probabilities are scored at every threshold and smallest size
(`sweep.py`), so that false lesions can be compared at equal sensitivity. With `--steps` every fold takes so many steps,
however long they take. Each row is kept in FOLDER/rows as soon as it is made; `--rows` names another folder, and a row
that is there is not made again. Rows of several seeds are shown together.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pandas as pd

import autoseg
from autoseg.files import write_text
from autoseg.plan.plan import Plan
from autoseg.run_folder.finished_fold import read_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from autoseg.terminal import open_console
from benchmarks.enough_steps import dice_of_cases, ended_folds
from benchmarks.lesions.arms import ARMS
from benchmarks.lesions.labels import relabelled
from benchmarks.lesions.planned import CONFIG, Length, plan_and_preprocess, plan_like
from benchmarks.lesions.sweep import score_cases
from benchmarks.lesions.table import table
from benchmarks.side_by_side import train_two_at_a_time


def main() -> None:
    given = parse()
    rows: Path = given.rows or given.folder / "rows"
    measured = measure_data(given.data, RunFolder(given.folder / f"measured_{given.data.name}"))
    ending = f"folds{''.join(map(str, given.folds))}.json"
    for arm in given.arms:
        for seed in given.seeds:
            path = rows / f"{length_of(given)}_{arm}_{seed}_{ending}"
            if not path.exists():
                row = compare(given, arm, seed, measured)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_text(path, json.dumps(row))
    pattern = f"{length_of(given)}_*_{ending}"
    found = [json.loads(path.read_text()) for path in sorted(rows.glob(pattern))]
    order = {name: place for place, name in enumerate(ARMS)}
    open_console().print(table(sorted(found, key=lambda row: order.get(row["arm"], len(order))), next(iter(ARMS))))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where everything goes")
    parser.add_argument("--data", type=Path, required=True, help="data set")
    parser.add_argument("--minutes", type=float, default=4, help="that a fold may take")
    parser.add_argument("--steps", type=int, help="that every fold takes, instead of a time")
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1234])
    parser.add_argument("--arms", nargs="*", choices=ARMS, default=list(ARMS))
    parser.add_argument("--rows", type=Path, help="where rows are kept [default: FOLDER/rows]")
    return parser.parse_args()


def measure_data(data: Path, run: RunFolder) -> RunFolder:
    """Fingerprint and folds of the data set, which are the same for all ideas."""
    if not run.plan.exists():
        autoseg.plan_and_preprocess(data, run.path, config=CONFIG, time_budget="1h", plan_only=True)
    return run


def length_of(given: argparse.Namespace) -> str:
    """Name of what is compared: the data set, and the time or the steps of a fold."""
    steps = "" if given.steps is None else f"_{given.steps}steps"
    return f"{given.data.name}_{given.minutes:g}min{steps}"


def compare(given: argparse.Namespace, arm: str, seed: int, measured: RunFolder) -> dict:
    """Plan and train an idea, and score it."""
    run = RunFolder(given.folder / f"{length_of(given)}_{arm}_{seed}")
    run.path.mkdir(parents=True, exist_ok=True)
    labels = ARMS[arm].labels
    data = given.data if labels is None else relabelled(given.data, given.folder / "labelled", labels)
    described = measured if labels is None else measure_data(data, RunFolder(given.folder / f"measured_{data.name}"))
    # the folds stay those of the data set as it is
    for source in (described.fingerprint, measured.splits, measured.made_splits, described.dataset):
        shutil.copy(source, run.path / source.name)
    like = next((other for other in given.arms if ARMS[other].plans_like(ARMS[arm])), arm)
    if like != arm:
        plan = plan_like(RunFolder(given.folder / f"{length_of(given)}_{like}_{seed}"), run, ARMS[arm])
    else:
        length = Length(60 * given.minutes, given.steps)
        plan = plan_and_preprocess(data, run, ARMS[arm], length, seed, given.folds)
    train_two_at_a_time([(run, fold) for fold in given.folds], CONFIG)
    splits = read_splits(run.splits)
    cases = [case for fold in given.folds for case in splits[fold].val]
    return row_of(arm, seed, plan, run, given.folds) | {
        "minutes": given.minutes,
        "class_dice": pd.concat([dice_of_cases(one) for one in ended_folds(run).values()])[cases].to_dict(),
        "scores": columns([asdict(one) for one in score_cases(run, CONFIG, cases)]),
    }


def columns(records: list[dict]) -> dict[str, list]:
    """Records as a list for each field, which takes a third of the space in a file."""
    return {name: [record[name] for record in records] for name in records[0]}


def row_of(arm: str, seed: int, plan: Plan, run: RunFolder, folds: list[int]) -> dict:
    configuration = plan.configuration(CONFIG)
    finished = [read_finished(run, CONFIG, fold) for fold in folds]
    return {
        "arm": arm,
        "what": ARMS[arm].what,
        "seed": seed,
        "folds": folds,
        "region": None if plan.region is None else plan.region.text,
        "spacing": configuration.spacing,
        "patch": configuration.patch_size,
        "batch": configuration.batch_size,
        "features": configuration.network.features[0],
        "steps": [one.steps for one in finished if one is not None],
        "seconds": [round(one.seconds_training) for one in finished if one is not None],
    }


if __name__ == "__main__":
    main()
