"""Where the windows lie that cover an image, and how much each of their voxels counts.

nnU-Net's rule (Isensee et al. 2021, Nature Methods 18:203): neighbouring windows overlap by half a
patch at least and are spread evenly; predictions are weighted by a Gaussian around the window's
centre with a standard deviation of an eighth of the patch, since they are best there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import Shape

SIGMA = 1 / 8


def window_starts(length: int, patch: int, overlap: float) -> tuple[int, ...]:
    """First voxel of each window along an axis, in order.

    As few windows as overlap by a share `overlap` of the patch at least, evenly spread, the first
    at the beginning and the last at the end. Where the image is shorter than the patch it lies in
    the middle of one window, whose start is then negative.
    """
    if length <= patch:
        return (-((patch - length) // 2),)
    step = max(1.0, patch * (1 - overlap))
    count = math.ceil((length - patch) / step) + 1
    return tuple(round(i * (length - patch) / (count - 1)) for i in range(count))


def axis_weights(patch: int) -> NDArray[np.float32]:
    """Weight of each voxel along an axis: a Gaussian, 1 at the centre, positive up to the ends.

    The weight of a window's voxel is the product over the axes. Centred between the two middle
    voxels of an even patch, so that mirroring the image mirrors the result.
    """
    position = np.arange(patch) - (patch - 1) / 2
    return np.exp(-0.5 * (position / (patch * SIGMA)) ** 2).astype(np.float32)


def summed_weights(length: int, patch: int, starts: Sequence[int]) -> NDArray[np.float32]:
    """Sum of the weights of all windows over each voxel of an axis; (length,)."""
    total = np.zeros(length, dtype=np.float64)
    weights = axis_weights(patch)
    for start in starts:
        covered = slice(max(start, 0), min(start + patch, length))
        total[covered] += weights[covered.start - start : covered.stop - start]
    return total.astype(np.float32)


def streaming_axis(shape: Shape, patch: Shape) -> int:
    """The axis of which a patch covers the smallest share: a slab across it takes the least memory."""
    return min(range(3), key=lambda axis: patch[axis] / max(shape[axis], patch[axis]))


def mirrorings(axes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Every subset of the axes, the empty one first."""
    return tuple(subset for size in range(len(axes) + 1) for subset in combinations(axes, size))
