"""Compares plans at each tenth of a fold with the same plans at its end, to see whether they can be raced.

    python -m benchmarks.race FOLDER --data DATA [DATA …] [--minutes 4]

For each data set three plans train fold 0: the one that is planned for so many minutes, and the candidates that cost
about half and twice as much a step. Each takes the steps that the time affords. Four training cases are held out and
predicted at each tenth of the steps: what a race could see. The fold's validation cases are predicted at the end: what
it should have foreseen. Two plans are trained side by side, each by one thread. Spacing and normalisation follow from
all cases; the region from neither the held-out cases nor the fold's.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table

from autoseg.dataset.fingerprint import read_fingerprint
from autoseg.dataset.read import read_dataset
from autoseg.files import write_text
from autoseg.plan.decision import Decision
from autoseg.plan.plan import read_plan, write_plan
from autoseg.plan.time_shares import CASES_A_VALIDATION
from autoseg.run_folder.finished_fold import read_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, read_splits, write_splits
from autoseg.terminal import open_console
from benchmarks.enough_steps import dice_of_cases
from benchmarks.lesions.__main__ import measure_data
from benchmarks.lesions.planned import CONFIG, WITHOUT_A_CLOCK, chooser_for, decided_before, trained_by
from benchmarks.side_by_side import train_two_at_a_time
from planner.budget.cost import work_of_a_step
from planner.budget.network_candidates import Candidate, candidates
from planner.preprocess import preprocess_dataset
from planner.rules.reference_plan import PlannedDecisions

SEED = 1234
EPOCHS_A_TENTH = 2
"""A fold has twenty epochs."""

TENTHS = range(1, 10)
COSTS = {"half": 0.5, "planned": 1.0, "twice": 2.0}
"""Work of a step, compared with the planned one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where everything goes")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="data sets")
    parser.add_argument("--minutes", type=float, default=4, help="that a fold may take")
    given = parser.parse_args()
    found = []
    for data in given.data:
        runs = dict(planned(data, given.folder, 60 * given.minutes))
        train_two_at_a_time([(run, 0) for run in runs.values()], CONFIG)
        found += [row(data.name, cost, run) for cost, run in runs.items()]
        write_text(given.folder / "race.json", json.dumps(found))
    for table in (plans_table(found), orders_table(found)):
        open_console().print(table)


def planned(data: Path, folder: Path, seconds: float) -> Iterator[tuple[str, RunFolder]]:
    """Plan and preprocess each plan of `COSTS`, where that is not done."""
    measured = measure_data(data, RunFolder(folder / f"measured_{data.name}"))
    runs = {cost: RunFolder(folder / f"{data.name}_{cost}") for cost in COSTS}
    if not all(run.plan.exists() for run in runs.values()):
        patients = {case.name: case.patient or case.name for case in read_dataset(data).cases}
        split = race_split(read_splits(measured.splits)[0], patients)
        for cost, plan in plans(measured, split, seconds):
            run = runs[cost]
            run.path.mkdir(parents=True, exist_ok=True)
            for source in (measured.fingerprint, measured.dataset):
                shutil.copy(source, run.path / source.name)
            for path in (run.splits, run.made_splits):
                write_splits(path, (split,))
            for path in (run.planned, run.plan):
                write_plan(path, plan.value, plan.reasons)
    for cost, run in runs.items():
        preprocess_dataset(read_dataset(data), read_plan(run.plan), CONFIG, run, workers=2)
        yield cost, run


def race_split(split: Split, patients: Mapping[str, str]) -> Split:
    """The fold without four of its training cases, which come first among those that are predicted.

    Args:
        split: the fold.
        patients: patient of each case; other cases of the held-out patients are left out.
    """
    rng = np.random.default_rng(SEED)
    held = tuple(str(case) for case in rng.choice(split.train, CASES_A_VALIDATION, replace=False))
    seen = {patients[case] for case in held}
    return Split(train=tuple(case for case in split.train if patients[case] not in seen), val=(*held, *split.val))


def plans(measured: RunFolder, split: Split, seconds: float) -> Iterator[tuple[str, PlannedDecisions]]:
    """The three plans, each with the steps that the time affords and a validation at each tenth."""
    decisions, fingerprint = decided_before(read_fingerprint(measured.fingerprint), [split], region=True, seed=SEED)
    found = list(candidates(decisions.configuration(CONFIG).value, fingerprint))

    def work(candidate: Candidate) -> float:
        return work_of_a_step(decisions.plan, candidate.value)

    taken = chooser_for(decisions, fingerprint, [split], seconds).choose(found).candidate
    left = [candidate for candidate in found if candidate is not taken]
    for cost, factor in COSTS.items():
        if factor == 1:
            candidate = taken
        else:
            candidate = min(left, key=lambda one: abs(np.log(work(one) / work(taken) / factor)))
            left.remove(candidate)
        choice = chooser_for(decisions, fingerprint, [split], seconds).choose([candidate])
        given = WITHOUT_A_CLOCK | {"validate_every": Decision(EPOCHS_A_TENTH, "at each tenth")}
        yield cost, trained_by(decisions, choice, choice.steps.value, fingerprint, given)


def row(data: str, cost: str, run: RunFolder) -> dict:
    """What a plan showed at each tenth and reached at its end."""
    configuration, finished = read_plan(run.plan).configuration(CONFIG), read_finished(run, CONFIG, 0)
    assert finished is not None
    log = pd.read_csv(run.fold(CONFIG, 0) / "log.csv").set_index("epoch")
    at = [EPOCHS_A_TENTH * tenth for tenth in TENTHS]
    return {
        "data": data,
        "cost": cost,
        "patch": configuration.patch_size,
        "features": configuration.network.features[0],
        "spacing": configuration.spacing,
        "steps": finished.steps,
        "held_out": log["val_dice"].reindex(at).tolist(),
        "patches": log["train_dice"].reindex(at).tolist(),
        "loss": log["loss"].reindex(at).tolist(),
        "end": float(dice_of_cases(finished)[CASES_A_VALIDATION:].mean()),
    }


def plans_table(rows: list[dict]) -> Table:
    shown = Table("data", "plan", "patch", "features", "steps", "held out at 10 %", "30 %", "50 %", "end, validation")
    for one in rows:
        signs = [f"{one['held_out'][tenth - 1]:.3f}" for tenth in (1, 3, 5)]
        patch = "×".join(map(str, one["patch"]))
        name, steps = str(one["features"]), str(one["steps"])
        shown.add_row(one["data"], one["cost"], patch, name, steps, *signs, f"{one['end']:.3f}")
    return shown


def orders_table(rows: list[dict]) -> Table:
    """For each sign and time the share of pairs of plans of one data set that end in the order that it showed."""
    shown = Table("sign", *(f"{tenth}0 %" for tenth in TENTHS))
    pairs = [(a, b) for a, b in combinations(rows, 2) if a["data"] == b["data"] and a["end"] != b["end"]]
    for sign, direction in (("held_out", 1), ("patches", 1), ("loss", -1)):
        right = [
            sum(direction * (a[sign][at] - b[sign][at]) * (a["end"] - b["end"]) > 0 for a, b in pairs)
            for at in range(len(TENTHS))
        ]
        shown.add_row(sign, *(f"{count} of {len(pairs)}" for count in right))
    return shown


if __name__ == "__main__":
    main()
