"""Predicts class probabilities of a whole image from overlapping patches (sliding window).

Windows are predicted in order along one axis. Only the slab that the current windows cover is held
in single precision; planes behind it are finished, normalised and stored in half precision. So
memory holds the result and a slab that is one patch thick.

Where the image is smaller than the patch, voxels outside the image are zero: this is the mean of a z-scored image,
and training pads with it too.

A device keeps the image and the slab where its memory holds them. Where its memory turns out to be too small, the
image is predicted again with half as many windows at once, down to one, and then with image and slab in the CPU's
memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from autoseg.errors import OutOfMemory
from autoseg.image.geometry import Shape
from autoseg.machine.device_memory import described, free_device_memory
from autoseg.memory import lacks_memory, lacks_own_memory, said_of_memory
from autoseg.plan.network_input import InputLayout
from autoseg.whole_image.window_inputs import Sliceable, WindowInputs, on_device
from autoseg.whole_image.windows import axis_weights, mirrorings, streaming_axis, summed_weights, window_starts

# fraction of a device's free memory that the slab may take; a larger slab is held in the CPU's memory
DEVICE_SHARE = 0.5


@torch.inference_mode()
def predict_probabilities(
    predict_patch: Callable[[torch.Tensor], torch.Tensor],
    image: Sliceable,
    *,
    patch_size: Shape,
    classes: int,
    overlap: float,
    mirror: tuple[int, ...],
    layout: InputLayout | None = None,
    present: Sequence[bool] | None = None,
    batch_size: int = 1,
    device: str | torch.device = "cpu",
    on_window: Callable[[int, int], None] | None = None,
) -> NDArray[np.float16]:
    """Predict an image window by window.

    Args:
        predict_patch: function from patches (batch, channel, z, y, x) float32 to their probabilities
            (batch, K, z, y, x), of any float dtype.
        image: prepared image (channel, z, y, x) float32.
        patch_size: size (z, y, x) of a window in voxels; 1 along the slice axis of a 2D configuration.
        classes: number of classes K, background included.
        overlap: minimum overlap of neighbouring windows, as a fraction of the patch size.
        mirror: axes (0 = z, 1 = y, 2 = x) to mirror along; predictions are averaged over all their combinations.
        layout: layout of the network's input; None = the channels of `image` as they are.
        present: for each channel of `image` whether the case has it; None = all.
        batch_size: number of windows that are predicted at once; fewer where the memory does not hold them.
        device: device on which `predict_patch` expects its input.
        on_window: called after each batch with the number of finished windows and of all windows; None = no call. The
            numbers begin anew where the memory did not suffice.

    Returns:
        Probabilities (K, z, y, x) float16.

    Raises:
        OutOfMemory: the memory does not hold a single window.
    """
    device = torch.device(device)
    lacking: Exception = RuntimeError()
    layout = layout or InputLayout.plain(image.shape[0])
    available = layout.available(present or (True,) * image.shape[0])
    for attempt in _attempts(batch_size, device):
        source = on_device(image, device) if attempt.keeps_on_device else image
        inputs = WindowInputs(source, patch_size, layout, available, device)
        try:
            return _predict(predict_patch, inputs, attempt, classes, overlap, mirrorings(mirror), on_window)
        except (RuntimeError, MemoryError) as error:
            if not lacks_memory(error):
                raise
            # without its traceback, which keeps tensors in memory
            lacking = error.with_traceback(None)
        del source, inputs
        if device.type == "cuda":
            torch.cuda.empty_cache()
    raise _out_of_memory(device, patch_size, classes, lacking)


@dataclass(frozen=True)
class _Attempt:
    """How an image is predicted: windows at once, and whether the device may keep image and slab."""

    windows: int
    keeps_on_device: bool


def _attempts(windows: int, device: torch.device) -> Iterator[_Attempt]:
    """Ways to predict an image, each with less memory of the device."""
    if device.type == "cpu":
        while windows > 1:
            yield _Attempt(windows, False)
            windows //= 2
    else:
        while windows >= 1:
            yield _Attempt(windows, True)
            windows //= 2
    yield _Attempt(1, False)


def _out_of_memory(device: torch.device, patch_size: Shape, classes: int, lacking: Exception) -> OutOfMemory:
    patch = " × ".join(map(str, patch_size))
    if device.type == "cpu" or lacks_own_memory(lacking):
        device, cure = torch.device("cpu"), "free some, or predict on a machine with more memory"
    else:
        cure = "end other programs that use it, or use --device cpu"
    needed = f"the prediction of one window of {patch} voxels with {classes} classes"
    return OutOfMemory(described(device), needed, said=said_of_memory(lacking), cure=cure)


def _predict(
    predict_patch: Callable[[torch.Tensor], torch.Tensor],
    inputs: WindowInputs,
    attempt: _Attempt,
    classes: int,
    overlap: float,
    flips: Sequence[tuple[int, ...]],
    on_window: Callable[[int, int], None] | None,
) -> NDArray[np.float16]:
    """Predict all windows of an image; the arguments are those of `predict_probabilities`."""
    shape, patch_size = inputs.shape, inputs.patch_size
    starts = [window_starts(n, p, overlap) for n, p in zip(shape, patch_size, strict=True)]
    slab_device = inputs.device if attempt.keeps_on_device else torch.device("cpu")
    accumulator = _Accumulator(shape, patch_size, starts, classes, slab_device)
    windows = sorted(product(*starts), key=lambda window: window[accumulator.axis])
    for begin in range(0, len(windows), attempt.windows):
        batch = windows[begin : begin + attempt.windows]
        predicted = _mirrored_mean(predict_patch, inputs.of(batch), flips)
        for window, probabilities in zip(batch, predicted, strict=True):
            accumulator.add(window, probabilities)
        if on_window is not None:
            on_window(begin + len(batch), len(windows))
    return accumulator.finish()


def _mirrored_mean(
    predict_patch: Callable[[torch.Tensor], torch.Tensor], patches: torch.Tensor, flips: Sequence[tuple[int, ...]]
) -> torch.Tensor:
    """Mean over mirrorings of the probabilities (batch, K, z, y, x) of patches (batch, channel, z, y, x)."""
    # flip makes a copy, so that the sum never changes a tensor of the caller
    dims = [[axis + 2 for axis in axes] for axes in flips]
    total = predict_patch(patches.flip(dims[0])).float().flip(dims[0])
    for axes in dims[1:]:
        total += predict_patch(patches.flip(axes)).float().flip(axes)
    return total.div_(len(flips))


class _Accumulator:
    """Weighted sum of predictions over a moving slab, and the finished planes behind it.

    The slab moves along `axis`; windows must be added in order along it.

    Args:
        shape: shape (z, y, x) of the image in voxels.
        patch_size: size (z, y, x) of a window in voxels.
        starts: for each axis the first voxel of each window.
        classes: number of classes, background included.
        device: device that holds the slab if its memory is large enough.
    """

    def __init__(
        self, shape: Shape, patch_size: Shape, starts: Sequence[Sequence[int]], classes: int, device: torch.device
    ) -> None:
        self.axis = streaming_axis(shape, patch_size)
        self._shape, self._patch_size = shape, patch_size
        self._totals = [summed_weights(n, p, s) for n, p, s in zip(shape, patch_size, starts, strict=True)]
        self._result = np.zeros((classes, *shape), dtype=np.float16)
        slab = list(shape)
        slab[self.axis] = min(patch_size[self.axis], shape[self.axis])
        device = _slab_device(device, 4 * classes * int(np.prod(slab)))
        self._slab = torch.zeros((classes, *slab), dtype=torch.float32, device=device)
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

    def finish(self) -> NDArray[np.float16]:
        """Store the last planes and return the probabilities (K, z, y, x)."""
        self._store(self._shape[self.axis] - self._begin)
        return self._result

    def _move_to(self, plane: int) -> None:
        """Move the slab so that it begins at `plane`: store the planes before it and shift the others."""
        step = plane - self._begin
        if step <= 0:
            return
        self._store(step)
        length = self._slab.shape[self.axis + 1]
        kept = length - step
        for channel in self._slab:
            if kept > 0:
                # source and target overlap, so one class at a time is copied first
                channel.narrow(self.axis, 0, kept).copy_(channel.narrow(self.axis, step, kept).clone())
            channel.narrow(self.axis, max(kept, 0), min(step, length)).zero_()
        self._begin = plane

    def _store(self, count: int) -> None:
        """Divide the first `count` planes of the slab by their summed weights, and write them into the result."""
        planes = slice(self._begin, self._begin + count)
        totals = [total[planes] if axis == self.axis else total for axis, total in enumerate(self._totals)]
        z, y, x = (torch.from_numpy(total).to(self._slab.device) for total in totals)
        sums = z[:, None, None] * y[:, None] * x
        target: list[slice] = [slice(None)] * 3
        target[self.axis] = planes
        for channel, result in zip(self._slab, self._result, strict=True):
            finished = channel.narrow(self.axis, 0, count) / sums
            result[tuple(target)] = finished.to(torch.float16).cpu().numpy()


def _slab_device(device: torch.device, size: int) -> torch.device:
    """Device that holds a slab of `size` bytes: a CUDA device with enough free memory, otherwise the CPU."""
    return device if size < DEVICE_SHARE * (free_device_memory(device) or 0) else torch.device("cpu")
