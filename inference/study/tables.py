"""Makes the tables of a study: mean and standard deviation over cases of every cell, for all cases and by stratum.

In: the data frame of `results.csv`. Out: data frames that also hold the number of cases of every mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from inference.study.collect import STRATUM

PAPER_METRICS = ("dice", "sensitivity", "specificity")
"""Metrics of the tables by default: those of Hille et al., arXiv:2001.05834, table 1."""

MEAN_OF_CLASSES = "mean of the classes"
"""Class name of the rows that hold, for each case, the mean over the classes that define the metric."""

NOT_DEFINED = "–"


@dataclass(frozen=True)
class CellFigure:
    """Mean of a metric over cases, with standard deviation and number of cases.

    Args:
        mean: mean over cases; None where no case defines the metric.
        sd: sample standard deviation over cases; None with fewer than two cases.
        cases: number of cases that define the metric.
        undefined: number of cases that do not define the metric.
    """

    mean: float | None
    sd: float | None
    cases: int
    undefined: int

    @property
    def text(self) -> str:
        """Text such as `0.776 ± 0.121 (n = 40)`."""
        if self.mean is None:
            return NOT_DEFINED
        spread = "" if self.sd is None else f" ± {self.sd:.3f}"
        return f"{self.mean:.3f}{spread} (n = {self.cases})"


def with_mean_of_classes(frame: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Put a row with the mean over the classes before the others, for each cell and case, if there are several classes.

    Args:
        frame: content of `results.csv`, a row for each cell, case and class.
        metrics: columns to average; other metrics are NaN in the new rows.
    """
    if frame["class"].nunique() < 2:
        return frame
    strata = [column for column in frame.columns if column.startswith(STRATUM)]
    keys = ["cell", "sequences", "dimension", "patient", *strata, "case", "fold"]
    means = frame.groupby(keys, sort=False, as_index=False)[list(metrics)].mean()
    return pd.concat([means.assign(**{"class": MEAN_OF_CLASSES}), frame], ignore_index=True)


def main_class(frame: pd.DataFrame) -> str:
    """Name of the class by which cells are ranked: the only class, or `MEAN_OF_CLASSES`."""
    names = frame["class"].unique()
    return str(names[0]) if len(names) == 1 else MEAN_OF_CLASSES


def figures(frame: pd.DataFrame, by: Sequence[str] = (), metrics: Sequence[str] = PAPER_METRICS) -> pd.DataFrame:
    """Mean, standard deviation and number of cases of every class, cell and metric, in long form.

    Args:
        frame: rows of `results.csv`, as `with_mean_of_classes` returns them.
        by: further columns whose values make groups of their own, such as a stratification column.
        metrics: columns of the frame to summarise.

    Returns:
        One row for each class, value of `by`, set of sequences, dimension and metric, in the order of the frame,
        with the columns `mean`, `sd`, `cases` and `undefined`.
    """
    keys = ["class", *by, "sequences", "dimension"]
    parts = []
    for metric in metrics:
        groups = frame.groupby(keys, sort=False)[metric]
        part = groups.agg(mean="mean", sd="std", cases="count", all="size").reset_index()
        part.insert(len(keys), "metric", metric)
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    table["undefined"] = table.pop("all") - table["cases"]
    return table


def paper_table(long: pd.DataFrame) -> pd.DataFrame:
    """The table in wide form: a row for each set of sequences, class and metric, with columns for each dimension.

    Args:
        long: table that `figures` or `strata_tables` returns.

    Returns:
        For every dimension the columns `DIMENSION mean`, `DIMENSION sd` and `DIMENSION cases`.
    """
    values = ["mean", "sd", "cases", "undefined"]
    keys = [c for c in long.columns if c not in ("dimension", *values)]
    of_dimensions = [
        rows.set_index(keys)[["mean", "sd", "cases"]].add_prefix(f"{dimension!s} ")
        for dimension, rows in long.groupby("dimension", sort=False)
    ]
    wide = pd.concat(of_dimensions, axis="columns")
    # keeps the order in which classes, metrics and sequences first occur, instead of the alphabetical one
    rows = long[keys].drop_duplicates()
    return rows.merge(wide.reset_index(), on=keys, how="left", sort=False).reset_index(drop=True)


def strata_tables(frame: pd.DataFrame, metrics: Sequence[str] = PAPER_METRICS) -> pd.DataFrame:
    """`figures` for every stratification column and value, which the columns `column` and `value` name.

    The table is empty where there are no strata.
    """
    parts = []
    for column in (c for c in frame.columns if c.startswith(STRATUM)):
        part = figures(frame, [column], metrics).rename(columns={column: "value"})
        part.insert(0, "column", column.removeprefix(STRATUM))
        parts.append(part.sort_values("value", kind="stable", ignore_index=True))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


FigureIndex = Mapping[frozenset[tuple[str, str]], CellFigure]
"""The figures of a long table, keyed by the names and values of their columns."""


def indexed(long: pd.DataFrame) -> FigureIndex:
    """Return the figures of a long table by their columns, so that many are looked up in one pass over the table.

    Args:
        long: table that `figures` or `strata_tables` returns.
    """
    keys = [column for column in long.columns if column not in ("mean", "sd", "cases", "undefined")]
    found: dict[frozenset[tuple[str, str]], CellFigure] = {}
    for row in long.to_dict("records"):
        figure = CellFigure(
            mean=None if pd.isna(row["mean"]) else float(row["mean"]),
            sd=None if pd.isna(row["sd"]) else float(row["sd"]),
            cases=int(row["cases"]),
            undefined=int(row["undefined"]),
        )
        found.setdefault(frozenset((key, row[key]) for key in keys), figure)
    return found


def lookup(index: FigureIndex, **where: str) -> CellFigure:
    """The figure whose columns have the given values; one with 0 cases if there is none.

    Args:
        index: figures of a long table, as `indexed` returns them.
        where: value of every column; the keyword `class_` stands for the column `class`.
    """
    place = frozenset((column.rstrip("_"), value) for column, value in where.items())
    return index.get(place, CellFigure(None, None, 0, 0))
