"""95 % intervals of means over cases.

Bootstrap of the cases, bias-corrected and accelerated (BCa; Efron, J Am Stat Assoc 1987). Only means get one: of
medians the same interval covers far less than it says (arXiv:2601.17103). With few cases it says nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from autoseg.files import FileModel

LEAST_CASES = 10
"""Fewer cases get no interval."""

RESAMPLES, SEED = 4000, 1234
MOST_VALUES_AT_ONCE = 4_000_000


class Interval(FileModel):
    """95 % interval of a mean.

    Args:
        lower, upper: limits of the interval.
        n: number of cases.
    """

    lower: float
    upper: float
    n: int


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Interval of the mean of one value a case; None under `LEAST_CASES` cases, or where all are equal.

    Args:
        values: value of each case that defines it.
    """
    return mean_over_classes_interval(np.asarray(values, np.float64)[:, None])


def mean_over_classes_interval(values: NDArray[np.float64]) -> Interval | None:
    """Interval of the mean over classes of the mean over cases.

    Cases are drawn with all their classes, since the classes of one case are not independent.

    Args:
        values: (case, class), nan where not defined.
    """
    defined = values[~np.isnan(values).all(axis=1)]
    n = len(defined)
    if n < LEAST_CASES or np.ptp(defined[~np.isnan(defined)]) == 0:
        return None

    def statistic(cases: NDArray[np.intp], axis: int = -1) -> NDArray[np.float64]:
        with warnings.catch_warnings():
            # a draw may hold no case that defines a class: the class is left out of that draw's mean
            warnings.simplefilter("ignore", RuntimeWarning)
            # the classes come after the axis of the cases
            return np.asarray(np.nanmean(np.nanmean(defined[cases], axis=axis - 1), axis=-1))

    found = bootstrap(
        (np.arange(n),),
        statistic,
        n_resamples=RESAMPLES,
        batch=max(1, MOST_VALUES_AT_ONCE // defined.size),
        method="BCa",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    if not np.isfinite([found.low, found.high]).all():
        return None
    return Interval(lower=float(found.low), upper=float(found.high), n=n)
