"""Class probabilities of an image as a configuration predicted them, and the same in 8 bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoseg.run_folder.preprocessed_case import CaseRecord

LEVELS = 255
"""What stands for a probability of 1 in 8 bit: odd, so that two classes never share a voxel evenly."""


@dataclass(frozen=True)
class Predicted:
    """Class probabilities of one image at a configuration's spacing.

    Args:
        probabilities: (K, z, y, x) of the record's shape; floating, or 8 bit with `LEVELS` for 1.
        record: how the image was prepared.
    """

    probabilities: NDArray
    record: CaseRecord

    @property
    def unit(self) -> float:
        """The number that stands for a probability of 1."""
        return float(LEVELS) if self.probabilities.dtype == np.uint8 else 1.0


def quantized(probabilities: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Probabilities in 8 bit, off by at most half a level; the background is what the other classes leave.

    Args:
        probabilities: (K, z, y, x), summing to 1 over K.
    """
    levels = np.empty(probabilities.shape, dtype=np.uint8)
    for z in range(probabilities.shape[1]):
        levels[1:, z] = np.minimum(np.rint(probabilities[1:, z].astype(np.float32) * LEVELS), LEVELS)
        levels[0, z] = rest_of(levels[1:, z])
    return levels


def rest_of(foreground: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The background's levels (…) from those of the other classes (K - 1, …)."""
    return (LEVELS - foreground.sum(axis=0, dtype=np.int32)).clip(min=0).astype(np.uint8)
