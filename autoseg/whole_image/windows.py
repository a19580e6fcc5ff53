"""Positions of the windows that cover an image, and weights of their voxels.

nnU-Net's rule (Isensee et al. 2021, Nature Methods 18:203): neighbouring windows overlap by at least half a
patch and are spread evenly. Predictions are best in the centre of a window, so they are weighted by a Gaussian
around it with a standard deviation of an eighth of the patch.
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

    The windows are as few as possible and evenly spread, the first at the beginning and the last at the end.
    An image that is shorter than the patch lies in the middle of one window, whose start is then negative.

    Args:
        length: length of the image along the axis in voxels.
        patch: length of a window in voxels.
        overlap: minimum overlap of neighbouring windows, as a fraction of the patch.
    """
    if length <= patch:
        return (-((patch - length) // 2),)
    step = max(1.0, patch * (1 - overlap))
    count = math.ceil((length - patch) / step) + 1
    return tuple(round(i * (length - patch) / (count - 1)) for i in range(count))


def axis_weights(patch: int) -> NDArray[np.float32]:
    """Weight of each voxel of a window along an axis, (patch,): a Gaussian, 1 at the centre, positive up to the ends.

    The weight of a window's voxel is the product over the axes. For an even patch, the centre is between the two
    middle voxels, so that mirroring the image mirrors the result.
    """
    position = np.arange(patch) - (patch - 1) / 2
    return np.exp(-0.5 * (position / (patch * SIGMA)) ** 2).astype(np.float32)


def summed_weights(length: int, patch: int, starts: Sequence[int]) -> NDArray[np.float32]:
    """Sum of the weights of all windows at each voxel of an axis, (length,)."""
    total = np.zeros(length, dtype=np.float64)
    weights = axis_weights(patch)
    for start in starts:
        covered = slice(max(start, 0), min(start + patch, length))
        total[covered] += weights[covered.start - start : covered.stop - start]
    return total.astype(np.float32)


def streaming_axis(shape: Shape, patch: Shape) -> int:
    """Axis of which a patch covers the smallest fraction: a slab that moves along it takes the least memory."""
    return min(range(3), key=lambda axis: patch[axis] / max(shape[axis], patch[axis]))


def mirrorings(axes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Every subset of the axes to mirror along, the empty one first."""
    return tuple(subset for size in range(len(axes) + 1) for subset in combinations(axes, size))
