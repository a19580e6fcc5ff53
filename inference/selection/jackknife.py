"""Standard error of a figure over several cases, by the jackknife."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def jackknife_error(left_out: Sequence[float]) -> float:
    """Jackknife standard error of a figure (Tukey, 1958); for a mean it equals the usual standard error.

    Args:
        left_out: the figure computed without one case, once for each case.
    """
    return float(np.sqrt((len(left_out) - 1) * np.var(left_out)))
