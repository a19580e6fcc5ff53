"""Agreement of predicted and reference values over cases: bias, limits of agreement, intraclass correlation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autoseg.files import FileModel

LIMITS_SD = 1.96
"""Standard deviations of the differences within which 95 % of them lie, if they are normal."""


class Agreement(FileModel):
    """Agreement of a predicted value, such as a volume, with the reference over cases.

    Args:
        n: number of cases, each of which has both values.
        bias: mean of predicted minus reference.
        lower, upper: limits of agreement, bias ± 1.96 standard deviations of the differences (Bland & Altman, Lancet
            1986); None for fewer than two cases.
        icc: intraclass correlation ICC(2,1): two-way random effects, absolute agreement, single measure (Shrout &
            Fleiss, Psychol Bull 1979); None for fewer than two cases, or where no value differs from another.
    """

    n: int
    bias: float
    lower: float | None
    upper: float | None
    icc: float | None


def agreement(reference: Sequence[float], predicted: Sequence[float]) -> Agreement | None:
    """Agreement of two values of each case; None without cases.

    Args:
        reference: value of each case in the reference.
        predicted: value of each case in the prediction, in the same order.
    """
    if not reference:
        return None
    pairs = np.array([reference, predicted], np.float64).T
    differences = pairs[:, 1] - pairs[:, 0]
    bias, n = float(differences.mean()), len(pairs)
    if n < 2:
        return Agreement(n=n, bias=bias, lower=None, upper=None, icc=None)
    reach = LIMITS_SD * float(differences.std(ddof=1))
    return Agreement(n=n, bias=bias, lower=bias - reach, upper=bias + reach, icc=_icc(pairs))


def _icc(pairs: np.ndarray) -> float | None:
    """ICC(2,1) of values (case, rater) of two raters."""
    n, raters = pairs.shape
    grand = pairs.mean()
    rows, columns = pairs.mean(axis=1, keepdims=True), pairs.mean(axis=0, keepdims=True)
    between_cases = raters * float(((rows - grand) ** 2).sum()) / (n - 1)
    between_raters = n * float(((columns - grand) ** 2).sum()) / (raters - 1)
    error = float(((pairs - rows - columns + grand) ** 2).sum()) / ((n - 1) * (raters - 1))
    below = between_cases + (raters - 1) * error + raters * (between_raters - error) / n
    return None if below <= 0 else (between_cases - error) / below
