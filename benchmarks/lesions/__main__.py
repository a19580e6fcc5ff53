"""Compares ideas for plans that find lesions, at equal time on two cores.

    python -m benchmarks.lesions FOLDER --data DATA [--minutes 4] [--folds 0 1] [--seeds 1234] [--arms …]

Each idea (`arms.py`) is a plan for folds of so many minutes, of which two are trained side by side, each by one thread.
Their out-of-fold probabilities are scored at every threshold and smallest size (`sweep.py`), so that false lesions can
be compared at equal sensitivity. Each row is kept in FOLDER/rows as soon as it is made; `--rows` names another folder,
and a row that is there is not made again. Rows of several seeds are shown together.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import autoseg
from autoseg.files import write_text
from autoseg.plan.plan import Plan
from autoseg.run_folder.finished_fold import read_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from autoseg.terminal import open_console
from benchmarks.lesions.arms import ARMS
from benchmarks.lesions.planned import CONFIG, plan_and_preprocess
from benchmarks.lesions.sweep import score_cases
from benchmarks.lesions.table import table

SIDE_BY_SIDE = 2
"""Number of folds that are trained at once, each by one thread."""


def main() -> None:
    given = parse()
    rows: Path = given.rows or given.folder / "rows"
    measured = measure_data(given.data, RunFolder(given.folder / f"measured_{given.data.name}"))
    ending = f"folds{''.join(map(str, given.folds))}.json"
    for arm in given.arms:
        for seed in given.seeds:
            path = rows / f"{given.data.name}_{given.minutes:g}min_{arm}_{seed}_{ending}"
            if not path.exists():
                row = compare(given, arm, seed, measured)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_text(path, json.dumps(row))
    pattern = f"{given.data.name}_{given.minutes:g}min_*_{ending}"
    found = [json.loads(path.read_text()) for path in sorted(rows.glob(pattern))]
    order = {name: place for place, name in enumerate(ARMS)}
    open_console().print(table(sorted(found, key=lambda row: order.get(row["arm"], len(order))), next(iter(ARMS))))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where everything goes")
    parser.add_argument("--data", type=Path, required=True, help="data set")
    parser.add_argument("--minutes", type=float, default=4, help="that a fold may take")
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


def compare(given: argparse.Namespace, arm: str, seed: int, measured: RunFolder) -> dict:
    """Plan and train an idea, and score it."""
    run = RunFolder(given.folder / f"{given.data.name}_{given.minutes:g}min_{arm}_{seed}")
    run.path.mkdir(parents=True, exist_ok=True)
    for source in (measured.fingerprint, measured.splits, measured.made_splits, measured.dataset):
        shutil.copy(source, run.path / source.name)
    plan = plan_and_preprocess(given.data, run, ARMS[arm], 60 * given.minutes, seed, given.folds)
    left = [fold for fold in given.folds if not run.is_finished(CONFIG, fold)]
    for first in range(0, len(left), SIDE_BY_SIDE):
        train(run, left[first : first + SIDE_BY_SIDE])
    splits = read_splits(run.splits)
    cases = [case for fold in given.folds for case in splits[fold].val]
    return row_of(arm, seed, plan, run, given.folds) | {
        "minutes": given.minutes,
        "scores": columns([asdict(one) for one in score_cases(run, CONFIG, cases)]),
    }


def columns(records: list[dict]) -> dict[str, list]:
    """Records as a list for each field, which takes a third of the space in a file."""
    return {name: [record[name] for record in records] for name in records[0]}


def train(run: RunFolder, folds: list[int]) -> None:
    """Train folds side by side, each by one thread."""
    command = [sys.executable, "-m", "autoseg", "train", str(run.path), "--config", CONFIG, "--threads", "1"]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    started = [subprocess.Popen([*command, "--fold", str(fold)], env=env) for fold in folds]
    if any(process.wait() for process in started):
        raise SystemExit(f"{run.path}: a fold could not be trained")


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
