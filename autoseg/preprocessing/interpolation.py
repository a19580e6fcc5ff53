"""Interpolation along one axis of an array, as a product with a banded matrix.

Resampling a volume by splines is separable: one small matrix for each axis. The columns of the matrix are the results
of `scipy.ndimage.zoom` (mode nearest, grid mode) for unit impulses, B-spline prefilter
included, so that the result equals scipy's. The entries decrease by a factor of 0.27 per voxel, and negligible
ones are dropped. BLAS computes the product block by block, over any part of the axis, so
that a volume can be resampled slab by slab.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# Smaller entries of a matrix are dropped; together they change the result by less than 2e-6 of the data's range.
NEGLIGIBLE = 1e-7
Order = Literal[0, 1, 3]
# Output voxels computed by one product: few enough that most zeros outside of the band are skipped.
BLOCK = 32


@dataclass(frozen=True, eq=False)
class Interpolation:
    """Interpolation from `inputs` to `outputs` voxels along one axis; both cover the same length.

    Args:
        inputs: number of input voxels.
        outputs: number of output voxels.
        first: for each output the first input voxel that it depends on, (outputs,).
        last: for each output the end of the input voxels that it depends on, excluded, (outputs,).
        matrix: weights (outputs, inputs) float32; None = every output is a copy of its input `first`.
    """

    inputs: int
    outputs: int
    first: NDArray[np.intp]
    last: NDArray[np.intp]
    matrix: NDArray[np.float32] | None

    def needed(self, outputs: slice) -> slice:
        """The range of inputs that a range of outputs depends on."""
        return slice(int(self.first[outputs].min()), int(self.last[outputs].max()))

    def touched(self, inputs: slice) -> slice:
        """The smallest range of outputs that holds all those that depend on a range of inputs."""
        touched = np.flatnonzero((self.first < inputs.stop) & (self.last > inputs.start))
        return slice(int(touched[0]), int(touched[-1]) + 1) if touched.size else slice(0, 0)

    def apply(self, array: NDArray, axis: int, start: int = 0, outputs: slice | None = None) -> NDArray:
        """Interpolate a 3D array along `axis`.

        Args:
            array: array (z, y, x) that holds the inputs from `start` on along `axis`; missing inputs count as zero.
                Its dtype is float32, or any if every output is a copy.
            axis: axis to interpolate along: 0 = z, 1 = y, 2 = x.
            start: index of the first input that `array` holds.
            outputs: range of outputs to compute; None = all.

        Returns:
            A new array with the outputs along `axis`; `array` itself if nothing changes.
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
    """Make the interpolation by splines of `order` 0 (nearest), 1 or 3; for equal sizes it is a copy."""
    if inputs == outputs:
        index = np.arange(inputs)
        return Interpolation(inputs, outputs, index, index + 1, None)
    if order == 0:
        # the same as nnU-Net's map_coordinates along the coarse axis
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
    """View of `array` with only a part of one axis."""
    index = [slice(None)] * array.ndim
    index[axis] = part
    return array[tuple(index)]


def _multiply(weights: NDArray[np.float32], array: NDArray, target: NDArray, axis: int) -> None:
    """Multiply a 3D array by a matrix along `axis`, and write the result into `target`."""
    if axis == 2:
        np.matmul(array, weights.T, out=target)
    elif axis == 1:
        np.matmul(weights, array, out=target)
    else:
        np.matmul(weights, array.reshape(len(array), -1), out=target.reshape(len(target), -1))
