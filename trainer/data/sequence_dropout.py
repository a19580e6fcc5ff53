"""Sequence dropout: a patch loses some of its sequences, so that one network learns from any set of them.

As in arXiv:2203.04959 (ModDrop++) and PMC10501967, where nothing was lost with every sequence
there and much gained with some missing. Whole sequences go, the same ones in every voxel of the
patch, and one is always left.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def drop_sequences(rng: np.random.Generator, present: Sequence[bool], probability: float) -> tuple[bool, ...]:
    """For each sequence whether the patch keeps it.

    How many are kept is drawn first, from one to all but one with equal chances, then which: so a
    single sequence, the hardest case, is seen as often as any other number.

    Args:
        rng: draws whether any goes, how many, and which.
        present: for each sequence whether the case has it.
        probability: that any goes; where only one is present none does.
    """
    there = np.flatnonzero(present)
    if len(there) < 2 or rng.random() >= probability:
        return tuple(bool(p) for p in present)
    kept = rng.choice(there, size=rng.integers(1, len(there)), replace=False)
    return tuple(bool(index in kept) for index in range(len(present)))
