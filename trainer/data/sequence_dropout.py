"""Sequence dropout: a patch loses some of its sequences, so that one network learns to work with any set of them.

The method is that of arXiv:2203.04959 (ModDrop++) and PMC10501967. There, accuracy was not lower with all sequences,
and much higher with some missing. A sequence is removed from all voxels of the patch, and at least one always remains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def drop_sequences(rng: np.random.Generator, present: Sequence[bool], probability: float) -> tuple[bool, ...]:
    """Draw for each sequence whether the patch keeps it.

    First the number of kept sequences is drawn, from one to all but one with equal chances; then which ones. So a
    single sequence, the hardest case, is seen as often as any other number.

    Args:
        rng: random generator that draws whether, how many and which sequences are removed.
        present: for each sequence whether the case has it.
        probability: probability that any sequence is removed; none is removed where only one is present.
    """
    there = np.flatnonzero(present)
    if len(there) < 2 or rng.random() >= probability:
        return tuple(bool(p) for p in present)
    kept = rng.choice(there, size=rng.integers(1, len(there)), replace=False)
    return tuple(bool(index in kept) for index in range(len(present)))
