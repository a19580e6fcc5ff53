"""Class probabilities of an image at the spacing of the configuration that predicted them, also in 8 bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoseg.run_folder.preprocessed_case import CaseRecord

LEVELS = 255
"""Number that stands for a probability of 1 in 8 bit. It is odd, so that two classes never have equal halves."""


@dataclass(frozen=True)
class CaseProbabilities:
    """Class probabilities of one image at a configuration's spacing.

    Args:
        probabilities: probabilities (K, z, y, x) of the record's shape; floating point, or 8 bit with `LEVELS` for 1.
        record: reorientation, crop and resampling of the image.
        overlapping: whether they are those of regions, which do not sum to 1 and have no background among them.
    """

    probabilities: NDArray
    record: CaseRecord
    overlapping: bool = False

    @property
    def unit(self) -> float:
        """Number in `probabilities` that stands for a probability of 1."""
        return float(LEVELS) if self.probabilities.dtype == np.uint8 else 1.0


def quantized(probabilities: NDArray[np.floating], *, overlapping: bool = False) -> NDArray[np.uint8]:
    """Round probabilities to 8 bit; the background gets the levels that the other classes leave.

    The error of a foreground class, and of a region, is at most half a level.

    Args:
        probabilities: probabilities (K, z, y, x), which sum to 1 over the K classes, or those of K regions.
        overlapping: whether they are those of regions.
    """
    levels = np.empty(probabilities.shape, dtype=np.uint8)
    first = 0 if overlapping else 1
    for z in range(probabilities.shape[1]):
        levels[first:, z] = np.minimum(np.rint(probabilities[first:, z].astype(np.float32) * LEVELS), LEVELS)
        if not overlapping:
            levels[0, z] = rest_of(levels[1:, z])
    return levels


def rest_of(foreground: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Levels of the background (…) that follow from those of the foreground classes (K - 1, …)."""
    return (LEVELS - foreground.sum(axis=0, dtype=np.int32)).clip(min=0).astype(np.uint8)
