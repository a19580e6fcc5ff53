"""The tables of a study: mean ± sd over cases, rows sequences, columns dimensions; the same by stratum.

In: the data frame of `results.csv`. Out: data frames with the number of cases behind every figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from inference.study.collect import STRATUM

PAPER_METRICS = ("dice", "sensitivity", "specificity")
"""Those of Hille et al., arXiv:2001.05834, table 1."""

MEAN_OF_CLASSES = "mean of the classes"
"""Name under which each case counts once: the mean over those of its classes that define the metric."""

NOT_DEFINED = "–"


@dataclass(frozen=True)
class Figure:
    """A mean over cases, and what is behind it.

    Args:
        mean: None where no case defines the metric.
        sd: sample standard deviation; None below two cases.
        cases: that define the metric.
        undefined: that do not.
    """

    mean: float | None
    sd: float | None
    cases: int
    undefined: int

    @property
    def text(self) -> str:
        """`0.776 ± 0.121 (n = 40)`."""
        if self.mean is None:
            return NOT_DEFINED
        spread = "" if self.sd is None else f" ± {self.sd:.3f}"
        return f"{self.mean:.3f}{spread} (n = {self.cases})"


def with_mean_of_classes(frame: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """The rows, after one for each cell and case with its mean over the classes, where there are several.

    Args:
        frame: as `results.csv`.
        metrics: columns to average; of others such a row has none.
    """
    if frame["class"].nunique() < 2:
        return frame
    strata = [column for column in frame.columns if column.startswith(STRATUM)]
    keys = ["cell", "sequences", "dimension", "patient", *strata, "case", "fold"]
    means = frame.groupby(keys, sort=False, as_index=False)[list(metrics)].mean()
    return pd.concat([means.assign(**{"class": MEAN_OF_CLASSES}), frame], ignore_index=True)


def main_class(frame: pd.DataFrame) -> str:
    """The class that the study is read by: the only one, or the mean of all."""
    names = frame["class"].unique()
    return str(names[0]) if len(names) == 1 else MEAN_OF_CLASSES


def figures(frame: pd.DataFrame, by: Sequence[str] = (), metrics: Sequence[str] = PAPER_METRICS) -> pd.DataFrame:
    """Mean, sd and number of cases, in long form.

    Args:
        frame: as `with_mean_of_classes` gives it.
        by: further columns to tell apart, such as a stratum's.
        metrics: columns of it.

    Returns:
        A row a class, value of `by`, set of sequences, dimension and metric, in the order of the frame; columns
        `mean`, `sd`, `cases`, `undefined`.
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
    """The table as it is printed: rows sequences, columns dimension, for every class and metric.

    Args:
        long: of `figures`.

    Returns:
        For every dimension columns `DIMENSION mean`, `DIMENSION sd`, `DIMENSION cases`.
    """
    values = ["mean", "sd", "cases", "undefined"]
    keys = [c for c in long.columns if c not in ("dimension", *values)]
    of_dimensions = [
        rows.set_index(keys)[["mean", "sd", "cases"]].add_prefix(f"{dimension!s} ")
        for dimension, rows in long.groupby("dimension", sort=False)
    ]
    wide = pd.concat(of_dimensions, axis="columns")
    # the order in which classes, metrics and sequences were met, not that of the alphabet
    rows = long[keys].drop_duplicates()
    return rows.merge(wide.reset_index(), on=keys, how="left", sort=False).reset_index(drop=True)


def strata_tables(frame: pd.DataFrame, metrics: Sequence[str] = PAPER_METRICS) -> pd.DataFrame:
    """`figures` by every stratification column and value; columns `column` and `value` say which.

    Empty where there are no strata.
    """
    parts = []
    for column in (c for c in frame.columns if c.startswith(STRATUM)):
        part = figures(frame, [column], metrics).rename(columns={column: "value"})
        part.insert(0, "column", column.removeprefix(STRATUM))
        parts.append(part.sort_values("value", kind="stable", ignore_index=True))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def lookup(long: pd.DataFrame, **where: str) -> Figure:
    """The one figure of a long table whose columns have these values; no cases where there is none.

    Args:
        long: of `figures` or `strata_tables`.
        where: value by column, `class_` for the column `class`.
    """
    found = long
    for column, value in where.items():
        found = found[found[column.rstrip("_")] == value]
    if found.empty:
        return Figure(None, None, 0, 0)
    row = found.iloc[0]
    return Figure(
        mean=None if pd.isna(row["mean"]) else float(row["mean"]),
        sd=None if pd.isna(row["sd"]) else float(row["sd"]),
        cases=int(row["cases"]),
        undefined=int(row["undefined"]),
    )
