"""Chooses operating points on four folds and looks at what they give on the fifth: what was asked, and what was found.

    python -m benchmarks.operating_points RUN [RUN …] [--config 3d] [--points f2 sensitivity=0.9 false=1 risk=0.1]

Each RUN has all its folds trained. For each class of lesions in its plan (all classes where it has none) threshold and
smallest size are fitted to the out-of-fold predictions of all folds but one, as `autoseg select` does, and are applied
to that one.
The sums over all folds are printed: lesions found, false ones a case, mean share of missed lesions, Dice.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.table import Table

from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from autoseg.terminal import open_console
from inference.selection.comparable import compared_cases
from inference.selection.fit_post_processing import Aim, OutcomeTable, held_out, parse_aim
from inference.selection.select import outcome_tables

POINTS = ("dice", "f2", "sensitivity=0.9", "false=1", "risk=0.1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--config", default="3d")
    parser.add_argument("--points", nargs="+", default=list(POINTS))
    given = parser.parse_args()
    shown = Table("run", "class", "asked", "lesions found", "false a case", "missed in a case, mean", "Dice", "cases")
    for path in given.runs:
        for name, table, folds in tables_of(RunFolder(path), given.config):
            for point in given.points:
                shown.add_row(path.name, name, point, *met(table, folds, parse_aim(point)), str(len(folds)))
    open_console().print(shown)


def tables_of(run: RunFolder, configuration: str) -> list[tuple[str, OutcomeTable, np.ndarray]]:
    """Name, outcomes of every setting in every case, and fold of each case, for each class of lesions."""
    plan = read_plan(run.plan)
    compared = compared_cases(run, plan, read_splits(run.splits), [configuration])
    workers = compared.workers(plan.labels.outputs)
    tables = outcome_tables(compared, (configuration,), plan.labels, workers)
    names = plan.lesions or plan.labels.foreground
    return [
        (name, table, compared.folds)
        for name, table in zip(plan.labels.foreground, tables, strict=True)
        if name in names
    ]


def met(table: OutcomeTable, folds: np.ndarray, aim: Aim) -> list[str]:
    """What an aim gives on cases that took no part in fitting it, as cells."""
    at = table.at(held_out(table, folds, aim, aim.steps))
    lesions, missed = int(table.lesions.sum()), at.missed_shares()
    return [
        f"{int(at.found.sum())} of {lesions} ({at.found.sum() / max(lesions, 1):.0%})",
        f"{at.false.mean():.2f}",
        f"{missed.mean():.1%}" if missed.size else "no lesions",
        f"{at.dice.mean():.3f}",
    ]


if __name__ == "__main__":
    main()
