"""Ranks the cells of a study by mean Dice, over the cases for which all of them define it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from autoseg.plan.study_cells import Cell
from inference.study.statistics import Comparison


@dataclass(frozen=True)
class Rank:
    """One cell in a ranking.

    Args:
        cell: set of sequences and input dimension that is ranked.
        mean: mean of the metric over the cases of the ranking.
        to_first: comparison of this cell with the best one; None for the best cell itself.
    """

    cell: Cell
    mean: float
    to_first: Comparison | None


@dataclass(frozen=True)
class Order:
    """Ranking of cells from the best to the worst.

    Args:
        title: says which cells are ranked: those of one dimension, or all.
        cases: number of cases for which every ranked cell defines the metric; the means are over these cases.
        ranks: the cells, the best first; empty where there are no such cases.
    """

    title: str
    cases: int
    ranks: tuple[Rank, ...]


def orders(
    frame: pd.DataFrame,
    cells: Sequence[Cell],
    compared: Sequence[Comparison],
    class_name: str,
    metric: str = "dice",
) -> tuple[Order, ...]:
    """Rank the sets of sequences in every dimension, and then all cells where there are several dimensions.

    Args:
        frame: rows of `results.csv`, with those that `with_mean_of_classes` adds.
        cells: cells of the study; cells without results are left out.
        compared: comparisons of pairs of cells by this metric.
        class_name: name of the class whose metric is ranked by.
        metric: column of the frame to rank by.

    Returns:
        One ranking for each dimension, and one of all cells; rankings of a single cell are left out.
    """
    values = frame[frame["class"] == class_name].pivot(index="case", columns="cell", values=metric)
    present = [cell for cell in cells if cell.name in values]
    pairs = {frozenset((c.a, c.b)): c for c in compared if c.class_name == class_name and c.metric == metric}
    dimensions = dict.fromkeys(cell.dimension for cell in present)
    groups = {f"sequences in {d}": [cell for cell in present if cell.dimension == d] for d in dimensions}
    if len(dimensions) > 1:
        groups["all cells"] = present
    return tuple(_order(title, values, group, pairs) for title, group in groups.items() if len(group) > 1)


def _order(title: str, values: pd.DataFrame, cells: Sequence[Cell], pairs: dict[frozenset[str], Comparison]) -> Order:
    common = values[[cell.name for cell in cells]].dropna()
    means = {cell.name: float(common[cell.name].mean()) for cell in cells}
    ranked = sorted(cells, key=lambda cell: -means[cell.name]) if len(common) else []
    ranks = [
        Rank(cell, means[cell.name], pairs.get(frozenset((cell.name, ranked[0].name))) if cell != ranked[0] else None)
        for cell in ranked
    ]
    return Order(title, len(common), tuple(ranks))
