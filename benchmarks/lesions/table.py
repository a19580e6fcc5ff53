"""What is read from a comparison: lesions found at a number of false ones a case, Dice, paired intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from rich.table import Table

from benchmarks.lesions.sweep import AS_RUN_LEAVES_IT
from benchmarks.study_missing import difference

FALSE_A_CASE = (0.5, 1.0, 2.0, 4.0, 8.0)
POINT = ["threshold", "smallest_ml"]


def totals(scores: pd.DataFrame) -> pd.DataFrame:
    """Sums over the cases for each threshold and smallest size, with `false_a_case` and the mean `dice`."""
    by_point = scores.groupby(POINT)
    found = by_point[["lesions", "large", "found", "found_large", "overlapped", "overlapped_large"]].sum()
    return found.assign(false_a_case=by_point["false"].mean(), dice=by_point["dice"].mean())


def best_at(points: pd.DataFrame, false_a_case: float, column: str) -> int:
    """The most lesions of a column that any point finds with at most so many false ones a case."""
    allowed = points[points["false_a_case"] <= false_a_case]
    return int(allowed[column].max()) if len(allowed) else 0


def mean_sensitivity(points: pd.DataFrame, column: str = "overlapped") -> float:
    """Mean over `FALSE_A_CASE` of the share of lesions that is found (FROC)."""
    lesions = max(int(points["lesions"].iloc[0]), 1)
    return float(np.mean([best_at(points, rate, column) / lesions for rate in FALSE_A_CASE]))


def false_at(points: pd.DataFrame, share: float, column: str = "found") -> float | None:
    """The least false ones a case with which this share of the lesions is found; None where no point finds it."""
    enough = points[points[column] >= share * points["lesions"]]
    return float(enough["false_a_case"].min()) if len(enough) else None


def table(rows: Sequence[dict], reference: str) -> Table:
    """One line for each row, with the paired difference of Dice to the row of the arm `reference` of the same seed."""
    shown = Table(
        "idea",
        "patch",
        "features",
        "steps",
        "as run leaves it: found, IoU, false a case",
        "Dice",
        *(f"found (large) at {rate:g}" for rate in (1, 2)),
        "mean over FROC, IoU",
        "false a case at 50 %, 70 %",
        "best Dice",
        f"Dice minus {reference}, 95 %",
    )
    first = {row["seed"]: row for row in rows if row["arm"] == reference}
    for row in rows:
        scores = pd.DataFrame(row["scores"])
        points = totals(scores)
        now = points.xs(AS_RUN_LEAVES_IT)
        at = [
            f"{best_at(points, rate, 'found')} of {now['lesions']:.0f} "
            f"({best_at(points, rate, 'found_large')} of {now['large']:.0f})"
            for rate in (1, 2)
        ]
        shares = ", ".join("-" if (f := false_at(points, share)) is None else f"{f:.1f}" for share in (0.5, 0.7))
        shown.add_row(
            f"{row['arm']} ({row['seed']})",
            "×".join(map(str, row["patch"])),
            str(row["features"]),
            ", ".join(map(str, row["steps"])),
            f"{now['found']:.0f}, {now['overlapped']:.0f}, {now['false_a_case']:.1f}",
            f"{now['dice']:.3f}",
            *at,
            f"{mean_sensitivity(points):.3f}",
            shares,
            f"{points['dice'].max():.3f}",
            _difference(row, first.get(row["seed"])),
        )
    return shown


def _difference(row: dict, first: dict | None) -> str:
    """Mean paired difference of Dice to a row, with its bootstrap interval; empty where there is nothing to compare."""
    values = pd.Series(dtype=float) if first is None or row is first else (_dice(row) - _dice(first)).dropna()
    if not values.size:
        return ""
    return difference(values)


def _dice(row: dict) -> pd.Series:
    scores = pd.DataFrame(row["scores"]).set_index(POINT).loc[[AS_RUN_LEAVES_IT]]
    return scores.set_index("case")["dice"]
