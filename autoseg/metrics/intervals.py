"""95 % intervals of means over cases.

Bootstrap of the cases, bias-corrected and accelerated (BCa; Efron, J Am Stat Assoc 1987). Only means get one: of
medians the same interval covers far less than it says (arXiv:2601.17103). With few cases it says nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

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
        n: number of cases that the mean is over.
    """

    lower: float
    upper: float
    n: int


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Interval of the mean of one value a case; None under `LEAST_CASES` cases, or where all are equal.

    Args:
        values: value of each case that defines it.
    """
    found = np.asarray(values, np.float64)

    def mean(drawn: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        return np.asarray(drawn.mean(axis=axis))

    return _interval(found, mean, found.size, found)


def mean_over_classes_interval(values: NDArray[np.float64]) -> Interval | None:
    """Interval of the mean over classes of the mean over cases.

    Cases are drawn with all their classes, since the classes of one case are not independent. There is no interval
    where a class is defined in fewer than `LEAST_CASES` cases: draws without it would be means of something else.

    Args:
        values: (case, class), nan where not defined.
    """
    defined = values[~np.isnan(values).all(axis=1)]
    if (np.count_nonzero(~np.isnan(defined), axis=0) < LEAST_CASES).any():
        return None

    def statistic(cases: NDArray[np.intp], axis: int = -1) -> NDArray[np.float64]:
        with warnings.catch_warnings():
            # a draw may, hardly ever, hold no case that defines a class
            warnings.simplefilter("ignore", RuntimeWarning)
            # the classes come after the axis of the cases
            return np.asarray(np.nanmean(np.nanmean(defined[cases], axis=axis - 1), axis=-1))

    return _interval(np.arange(len(defined)), statistic, defined.size, defined[~np.isnan(defined)])


def _interval(
    drawn_from: NDArray, statistic: Callable[..., NDArray[np.float64]], values_a_draw: int, values: NDArray[np.float64]
) -> Interval | None:
    """BCa interval of a statistic of the cases; None under `LEAST_CASES` cases, or where all values are equal."""
    n = len(drawn_from)
    if n < LEAST_CASES or np.ptp(values) == 0:
        return None
    found = bootstrap(
        (drawn_from,),
        statistic,
        n_resamples=RESAMPLES,
        batch=max(1, MOST_VALUES_AT_ONCE // values_a_draw),
        method="BCa",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    if not np.isfinite([found.low, found.high]).all():
        return None
    return Interval(lower=float(found.low), upper=float(found.high), n=n)
