"""How sure a figure over several cases is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def jackknife_error(left_out: Sequence[float]) -> float:
    """Standard error of a figure by leaving out case after case (Tukey, 1958); of a mean it is the usual one.

    Args:
        left_out: the figure without each case.
    """
    return float(np.sqrt((len(left_out) - 1) * np.var(left_out)))
