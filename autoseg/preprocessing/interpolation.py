"""Interpolation along one axis of an array, as a banded matrix.

Resampling a volume by splines is separable: one small matrix an axis. The matrix of an axis is what
`scipy.ndimage.zoom` (mode nearest, grid mode) makes of the unit impulses, B-spline prefilter
included, so that the result is scipy's; its entries fall off by 0.27 a voxel and are dropped where
they no longer matter. The products run block by block through BLAS, over any part of the axis, so
that a volume can be resampled slab by slab.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# Entries dropped from a matrix sum to less than 2e-6 of the data's range.
NEGLIGIBLE = 1e-7
Order = Literal[0, 1, 3]
# Outputs computed by one product: small enough to leave out most of the band's zeros.
BLOCK = 32


@dataclass(frozen=True, eq=False)
class Interpolation:
    """Interpolation from `inputs` to `outputs` voxels along one axis, both covering the same length.

    Args:
        first, last: (outputs,) range of input voxels that each output depends on, last excluded.
        matrix: (outputs, inputs) float32 weights; None where every output is a copy of input `first`.
    """

    inputs: int
    outputs: int
    first: NDArray[np.intp]
    last: NDArray[np.intp]
    matrix: NDArray[np.float32] | None

    def needed(self, outputs: slice) -> slice:
        """The inputs that a range of outputs depends on."""
        return slice(int(self.first[outputs].min()), int(self.last[outputs].max()))

    def touched(self, inputs: slice) -> slice:
        """The smallest range of outputs that holds all those that depend on a range of inputs."""
        touched = np.flatnonzero((self.first < inputs.stop) & (self.last > inputs.start))
        return slice(int(touched[0]), int(touched[-1]) + 1) if touched.size else slice(0, 0)

    def apply(self, array: NDArray, axis: int, start: int = 0, outputs: slice | None = None) -> NDArray:
        """Interpolate a 3D array along `axis`.

        Args:
            array: holds the inputs from `start` on along `axis`; inputs it lacks count as zero.
                float32 unless every output is a copy.
            axis: 0 = z, 1 = y, 2 = x.
            start: see `array`.
            outputs: range of outputs to compute; all if None.

        Returns:
            `array` with the outputs along `axis`; where all are copies of all, `array` itself.
        """
        outputs = outputs or slice(0, self.outputs)
        if self.matrix is None:
            if self.inputs == self.outputs and outputs == slice(start, start + array.shape[axis]):
                return array
            return np.take(array, self.first[outputs] - start, axis=axis)
        shape = list(array.shape)
        shape[axis] = outputs.stop - outputs.start
        result = np.empty(shape, dtype=np.float32)
        for begin in range(outputs.start, outputs.stop, BLOCK):
            block = slice(begin, min(begin + BLOCK, outputs.stop))
            needed = self.needed(block)
            held = slice(max(needed.start, start), min(needed.stop, start + array.shape[axis]))
            target = _along(result, axis, slice(block.start - outputs.start, block.stop - outputs.start))
            if held.start >= held.stop:
                target[...] = 0
                continue
            weights = self.matrix[block, held]
            _multiply(weights, _along(array, axis, slice(held.start - start, held.stop - start)), target, axis)
        return result


@lru_cache(maxsize=64)
def interpolation(inputs: int, outputs: int, order: Order) -> Interpolation:
    """Interpolation by splines of `order` 0 (nearest), 1 or 3; a copy where the size stays."""
    if inputs == outputs:
        index = np.arange(inputs)
        return Interpolation(inputs, outputs, index, index + 1, None)
    if order == 0:
        # as nnU-Net's map_coordinates along the coarse axis
        centres = (np.arange(outputs) + 0.5) * (inputs / outputs) - 0.5
        nearest = ndimage.map_coordinates(np.arange(inputs), centres[None], order=0, mode="nearest")
        return Interpolation(inputs, outputs, nearest, nearest + 1, None)
    matrix = np.empty((outputs, inputs))
    for position, impulse in enumerate(np.eye(inputs)):
        zoomed = ndimage.zoom(impulse, outputs / inputs, order=order, mode="nearest", grid_mode=True)
        matrix[:, position] = zoomed
    used = np.abs(matrix) > NEGLIGIBLE
    weights = np.where(used, matrix, 0.0).astype(np.float32)
    first = used.argmax(axis=1)
    last = inputs - used[:, ::-1].argmax(axis=1)
    return Interpolation(inputs, outputs, first, last, weights)


def _along(array: NDArray, axis: int, part: slice) -> NDArray:
    """View of a part of one axis."""
    index = [slice(None)] * array.ndim
    index[axis] = part
    return array[tuple(index)]


def _multiply(weights: NDArray[np.float32], array: NDArray, target: NDArray, axis: int) -> None:
    """Matrix product along `axis` of a 3D array, written into `target`."""
    if axis == 2:
        np.matmul(array, weights.T, out=target)
    elif axis == 1:
        np.matmul(weights, array, out=target)
    else:
        np.matmul(weights, array.reshape(len(array), -1), out=target.reshape(len(target), -1))
