"""Weighted sums of the predictions of overlapping windows over a moving slab.

Only the slab that the current windows cover is held in single precision. Planes behind it are finished, and handed on:
as probabilities in half precision, or as the class that each voxel gets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from autoseg.image.geometry import Shape
from autoseg.machine.device_memory import free_device_memory
from autoseg.whole_image.windows import axis_weights, streaming_axis, summed_weights

# fraction of a device's free memory that the slab may take; a larger slab is held in the CPU's memory
DEVICE_SHARE = 0.5

Box = tuple[slice, slice, slice]
Keep = Callable[[torch.Tensor, torch.Tensor, Box], None]
"""What is done with finished planes: their weighted sums (K, z, y, x), the sums of the weights (z, y, x), their box."""


class SlabSums:
    """Weighted sum of predictions over a moving slab.

    The slab moves along `axis`; windows must be added in order along it.

    Args:
        shape: shape (z, y, x) of the image in voxels.
        patch_size: size (z, y, x) of a window in voxels.
        starts: for each axis the first voxel of each window.
        classes: number of classes, background included.
        device: device that holds the slab.
        keep: takes the finished planes.
    """

    def __init__(
        self,
        shape: Shape,
        patch_size: Shape,
        starts: Sequence[Sequence[int]],
        classes: int,
        device: torch.device,
        keep: Keep,
    ) -> None:
        self.axis = streaming_axis(shape, patch_size)
        self._shape, self._patch_size, self._keep = shape, patch_size, keep
        self._totals = [summed_weights(n, p, s) for n, p, s in zip(shape, patch_size, starts, strict=True)]
        self._slab = torch.zeros((classes, *slab_shape(shape, patch_size)), dtype=torch.float32, device=device)
        self._begin = 0  # image plane at which the slab begins
        z, y, x = (torch.from_numpy(axis_weights(p)).to(device) for p in patch_size)
        self._weights = z[:, None, None] * y[:, None] * x

    def add(self, start: Sequence[int], probabilities: torch.Tensor) -> None:
        """Add the probabilities (K, *patch_size) of the window that begins at `start`."""
        self._move_to(max(start[self.axis], 0))
        inside = [slice(max(s, 0), min(s + p, n)) for s, p, n in zip(start, self._patch_size, self._shape, strict=True)]
        used = tuple(slice(part.start - s, part.stop - s) for part, s in zip(inside, start, strict=True))
        moved = inside[self.axis]
        inside[self.axis] = slice(moved.start - self._begin, moved.stop - self._begin)
        target = self._slab[(slice(None), *inside)]
        target.addcmul_(probabilities[(slice(None), *used)].to(target.device), self._weights[used])

    def finish(self) -> None:
        """Hand the last planes on."""
        self._hand_on(self._shape[self.axis] - self._begin)

    def _move_to(self, plane: int) -> None:
        """Move the slab so that it begins at `plane`: hand the planes before it on and shift the others."""
        step = plane - self._begin
        if step <= 0:
            return
        self._hand_on(step)
        length = self._slab.shape[self.axis + 1]
        kept = length - step
        for channel in self._slab:
            if kept > 0:
                # source and target overlap, so one class at a time is copied first
                channel.narrow(self.axis, 0, kept).copy_(channel.narrow(self.axis, step, kept).clone())
            channel.narrow(self.axis, max(kept, 0), min(step, length)).zero_()
        self._begin = plane

    def _hand_on(self, count: int) -> None:
        """Hand the first `count` planes of the slab on, with their summed weights."""
        planes = slice(self._begin, self._begin + count)
        totals = [total[planes] if axis == self.axis else total for axis, total in enumerate(self._totals)]
        z, y, x = (torch.from_numpy(total).to(self._slab.device) for total in totals)
        sums = z[:, None, None] * y[:, None] * x
        box = [slice(0, n) for n in self._shape]
        box[self.axis] = planes
        self._keep(self._slab.narrow(self.axis + 1, 0, count), sums, (box[0], box[1], box[2]))


def slab_shape(shape: Shape, patch_size: Shape) -> Shape:
    """Shape (z, y, x) of the slab of an image."""
    slab, axis = list(shape), streaming_axis(shape, patch_size)
    slab[axis] = min(patch_size[axis], shape[axis])
    return slab[0], slab[1], slab[2]


def slab_bytes(shape: Shape, patch_size: Shape, classes: int) -> int:
    """Bytes that the slab of an image takes."""
    return 4 * classes * int(np.prod(slab_shape(shape, patch_size)))


def slab_device(device: torch.device, size: int) -> torch.device:
    """Device that holds a slab of `size` bytes: a CUDA device with enough free memory, otherwise the CPU."""
    return device if size < DEVICE_SHARE * (free_device_memory(device) or 0) else torch.device("cpu")


def into_probabilities(result: NDArray[np.float16]) -> Keep:
    """Store finished planes as probabilities.

    Args:
        result: probabilities (K, z, y, x) of the whole image, which are filled.
    """

    def keep(slab: torch.Tensor, sums: torch.Tensor, box: Box) -> None:
        for channel, of_class in zip(slab, result, strict=True):
            of_class[box] = (channel / sums).to(torch.float16).cpu().numpy()

    return keep
