"""Metrics that count voxels: Dice, sensitivity, specificity, precision.

Definitions as in Taha and Hanbury, BMC Medical Imaging 2015. A ratio with a denominator of zero is
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
    """Numbers of voxels of one class, reference against prediction; `+` pools cases.

    Args:
        tp: voxels that reference and prediction give to the class.
        fp: voxels that only the prediction gives to the class.
        fn: voxels that only the reference gives to the class.
        tn: voxels that neither gives to the class.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)

    @property
    def reference(self) -> int:
        """Number of voxels of the class in the reference."""
        return self.tp + self.fn

    @property
    def prediction(self) -> int:
        """Number of voxels of the class in the prediction."""
        return self.tp + self.fp

    @property
    def dice(self) -> float | None:
        """2 TP / (2 TP + FP + FN); None where reference and prediction are empty, 0 where only one is.

        This is the convention of nnU-Net's evaluation and of Metrics Reloaded (Maier-Hein et al., Nature
        Methods 2024): an empty reference with any prediction is a failure; if both are empty, the case says
        nothing about overlap and is counted apart.
        """
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def sensitivity(self) -> float | None:
        """TP / (TP + FN), the fraction of the reference that was found; None where the reference is empty."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float | None:
        """TN / (TN + FP) over the whole image.

        It is close to 1 for any small structure, since nearly every voxel of an image is background.
        """
        return ratio(self.tn, self.tn + self.fp)

    @property
    def precision(self) -> float | None:
        """TP / (TP + FP), the fraction of the prediction that is right; None where the prediction is empty."""
        return ratio(self.tp, self.tp + self.fp)


def count_voxels(reference: NDArray[np.bool_], prediction: NDArray[np.bool_], total: int | None = None) -> Counts:
    """Count the voxels of one class.

    Args:
        reference: reference mask (z, y, x).
        prediction: predicted mask (z, y, x).
        total: number of voxels of the whole image, if the masks are a crop that holds all of the class;
            None = the masks are the whole image.
    """
    tp = int(np.count_nonzero(reference & prediction))
    fp = int(np.count_nonzero(prediction)) - tp
    fn = int(np.count_nonzero(reference)) - tp
    return Counts(tp, fp, fn, (reference.size if total is None else total) - tp - fp - fn)
