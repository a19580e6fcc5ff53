"""Metrics that count voxels: Dice, sensitivity, specificity, precision.

Definitions as in Taha and Hanbury, BMC Medical Imaging 2015. A ratio whose denominator is zero is
`None`, not defined: it is neither a success nor a failure, and no mean may include it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def ratio(numerator: float, denominator: float) -> float | None:
    """`numerator / denominator`, or None where the denominator is zero."""
    return numerator / denominator if denominator else None


@dataclass(frozen=True)
class Counts:
    """Voxels of one class, reference against prediction; `+` pools cases.

    Args:
        tp: in both.
        fp: in the prediction alone.
        fn: in the reference alone.
        tn: in neither.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)

    @property
    def reference(self) -> int:
        """Voxels of the class in the reference."""
        return self.tp + self.fn

    @property
    def prediction(self) -> int:
        """Voxels of the class in the prediction."""
        return self.tp + self.fp

    @property
    def dice(self) -> float | None:
        """2 TP / (2 TP + FP + FN); not defined where both are empty, 0 where only one is.

        The convention of nnU-Net's evaluation and of Metrics Reloaded (Maier-Hein et al., Nature
        Methods 2024): an empty reference with any prediction is a failure, an empty pair says
        nothing about overlap and is counted apart.
        """
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def sensitivity(self) -> float | None:
        """TP / (TP + FN), the share of the reference that was found; not defined where it is empty."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float | None:
        """TN / (TN + FP) over the whole image.

        Close to 1 for any small structure, since nearly every voxel of an image is background.
        """
        return ratio(self.tn, self.tn + self.fp)

    @property
    def precision(self) -> float | None:
        """TP / (TP + FP), the share of the prediction that is right; not defined where it is empty."""
        return ratio(self.tp, self.tp + self.fp)


def count_voxels(reference: NDArray[np.bool_], prediction: NDArray[np.bool_], total: int | None = None) -> Counts:
    """Count the voxels of one class.

    Args:
        reference: (z, y, x) mask.
        prediction: (z, y, x) mask.
        total: voxels of the whole image, where the masks are a crop of it that holds both.
    """
    tp = int(np.count_nonzero(reference & prediction))
    fp = int(np.count_nonzero(prediction)) - tp
    fn = int(np.count_nonzero(reference)) - tp
    return Counts(tp, fp, fn, (reference.size if total is None else total) - tp - fp - fn)
