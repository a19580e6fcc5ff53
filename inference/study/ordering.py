"""The order in which the study puts its cells: by mean Dice over the cases that all of them judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from autoseg.plan.study_cells import Cell
from inference.study.statistics import Comparison


@dataclass(frozen=True)
class Rank:
    """One cell in an order.

    Args:
        mean: of the metric over the cases of the order.
        to_first: the comparison with the first cell; None for the first itself.
    """

    cell: Cell
    mean: float
    to_first: Comparison | None


@dataclass(frozen=True)
class Order:
    """Cells from the best to the worst.

    Args:
        title: which cells: those of a dimension, or all.
        cases: that every one of them defines the metric for; the means are over these.
        ranks: best first.
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
    """The order of the sequences in every dimension, then that of all cells where there are several dimensions.

    Args:
        frame: as `results.csv`, with the mean of the classes.
        cells: of the study.
        compared: pairs of cells by this metric.
        class_name: of which class.
        metric: column of the frame.
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
