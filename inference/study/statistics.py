"""Compares cells in pairs over the same cases: which one is better, by how much, and how certain that is.

In: the data frame of `results.csv`. Out: a `Comparison` of every pair of cells, over the cases for which both define
the metric. It holds the mean difference with its bootstrap interval (bias-corrected and accelerated; Efron, JASA
1987), the p value of Wilcoxon's signed-rank test, the same corrected over all pairs by Holm's method (Scand J Stat
1979), and as effect size the matched-pairs rank-biserial correlation (Kerby, Compr Psychol 2014). A patient with
several cases counts once, with the mean of their differences, since cases of one patient are not independent.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 9999
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Comparison:
    """Comparison of cell `a` with cell `b` by one metric of one class.

    Args:
        class_name: name of the class.
        metric: name of the metric.
        a, b: names of the two cells.
        cases: number of cases for which both cells define the metric.
        patients: number of patients of these cases; patients are the units of the test.
        mean_a, mean_b: mean of the metric over these cases, for each cell; None where there are no cases.
        difference: mean over patients of the metric of a minus that of b; None where there are no cases.
        low, high: 95 % bootstrap interval of the difference; None with fewer than two patients.
        effect: rank-biserial correlation: 1 if a has the larger value for every patient, −1 if b has.
        p: two-sided p value of Wilcoxon's signed-rank test; None where there are no cases.
        p_holm: p corrected over all pairs of the same class and metric by Holm's method.
    """

    class_name: str
    metric: str
    a: str
    b: str
    cases: int
    patients: int
    mean_a: float | None
    mean_b: float | None
    difference: float | None
    low: float | None
    high: float | None
    effect: float | None
    p: float | None
    p_holm: float | None


def compare_cells(frame: pd.DataFrame, metric: str = "dice", *, seed: int = 0) -> list[Comparison]:
    """Compare every pair of cells, class by class.

    Args:
        frame: rows of `results.csv`, with those that `with_mean_of_classes` adds.
        metric: column of the frame to compare by.
        seed: seed of the bootstrap; the same seed gives the same intervals.
    """
    order = list(dict.fromkeys(frame["cell"]))
    compared = []
    for class_name, of_class in frame.groupby("class", sort=False):
        values = of_class.pivot(index="case", columns="cell", values=metric)
        patients = of_class.drop_duplicates("case").set_index("case")["patient"]
        pairs = [
            _compare(str(class_name), metric, a, b, values[[a, b]].dropna(), patients, seed)
            for a, b in combinations([cell for cell in order if cell in values], 2)
        ]
        corrected = holm([pair.p for pair in pairs])
        compared += [replace(pair, p_holm=p) for pair, p in zip(pairs, corrected, strict=True)]
    return compared


def _compare(
    class_name: str, metric: str, a: str, b: str, both: pd.DataFrame, patients: pd.Series, seed: int
) -> Comparison:
    by_case = both[a] - both[b]
    differences = by_case.groupby(patients.reindex(both.index)).mean().to_numpy(float)
    low, high = bootstrap_interval(differences, seed)
    return Comparison(
        class_name=class_name,
        metric=metric,
        a=a,
        b=b,
        cases=len(both),
        patients=len(differences),
        mean_a=float(both[a].mean()) if len(both) else None,
        mean_b=float(both[b].mean()) if len(both) else None,
        difference=float(differences.mean()) if len(differences) else None,
        low=low,
        high=high,
        effect=rank_biserial(differences),
        p=wilcoxon_p(differences),
        p_holm=None,
    )


def bootstrap_interval(differences: NDArray[np.float64], seed: int) -> tuple[float | None, float | None]:
    """Lower and upper end of the 95 % bootstrap interval of the mean of paired differences.

    Args:
        differences: difference of a metric in each case, array (case,).
        seed: seed of the bootstrap.

    Returns:
        None and None with fewer than two differences.
    """
    if len(differences) < 2:
        return None, None
    if np.ptp(differences) == 0:
        return float(differences[0]), float(differences[0])
    with warnings.catch_warnings():
        # a degenerate distribution has no bias-corrected interval: then the percentile interval is used
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        methods: tuple[Literal["BCa", "percentile"], ...] = ("BCa", "percentile")
        for method in methods:
            interval = stats.bootstrap(
                (differences,),
                np.mean,
                n_resamples=RESAMPLES,
                confidence_level=CONFIDENCE,
                method=method,
                rng=np.random.default_rng(seed),
            ).confidence_interval
            if np.isfinite(interval).all():
                break
    return float(interval.low), float(interval.high)


def wilcoxon_p(differences: NDArray[np.float64]) -> float | None:
    """Two-sided p value of Wilcoxon's signed-rank test; 1 if no pair differs, None if there is no pair."""
    if not len(differences):
        return None
    if not differences.any():
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)


def rank_biserial(differences: NDArray[np.float64]) -> float | None:
    """Matched-pairs rank-biserial correlation, from −1 to 1: (positive − negative rank sum) / sum of all ranks.

    Pairs without a difference are left out. The result is 0 if no pair differs, and None if there is no pair.
    """
    decided = differences[differences != 0]
    if not len(decided):
        return 0.0 if len(differences) else None
    ranks = stats.rankdata(np.abs(decided))
    return float((ranks * np.sign(decided)).sum() / ranks.sum())


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Correct several p values by Holm's method; None means not tested, is not counted and stays None."""
    tested = sorted((value, i) for i, value in enumerate(p) if value is not None)
    corrected: list[float | None] = [None] * len(p)
    largest = 0.0
    for step, (value, i) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - step) * value))
        corrected[i] = largest
    return corrected


def comparisons_frame(compared: Sequence[Comparison]) -> pd.DataFrame:
    """The table of `comparisons.csv`."""
    columns = list(Comparison.__dataclass_fields__)
    frame = pd.DataFrame([[getattr(pair, name) for name in columns] for pair in compared], columns=columns)
    return frame.rename(columns={"class_name": "class"})
