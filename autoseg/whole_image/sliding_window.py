"""Predicts class probabilities of a whole image from overlapping patches (sliding window).

Windows are predicted in order along one axis. Only the slab that the current windows cover is held
in single precision (`slab_sums`); planes behind it are finished, normalised and stored in half precision. So
memory holds the result and a slab that is one patch thick.

Where the image is smaller than the patch, voxels outside the image are zero: this is the mean of a z-scored image,
and training pads with it too.

A device keeps the image and the slab where its memory holds them. Where its memory turns out to be too small, the
image is predicted again with half as many windows at once, down to one, and then with image and slab in the CPU's
memory. What is kept of an ensemble's members is left out first.
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
from autoseg.machine.device_memory import described
from autoseg.memory import lacks_memory, lacks_own_memory, said_of_memory
from autoseg.plan.network_input import InputLayout
from autoseg.whole_image.member_labels import MemberLabels
from autoseg.whole_image.slab_sums import SlabSums, into_probabilities, slab_bytes, slab_device
from autoseg.whole_image.window_inputs import Sliceable, WindowInputs, on_device
from autoseg.whole_image.windows import mirrorings, window_starts


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
    members: MemberLabels | None = None,
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
        members: collects the label maps of an ensemble's members, where the memory holds them; None = they are not
            asked for. The probabilities are the same to the bit.

    Returns:
        Probabilities (K, z, y, x) float16.

    Raises:
        OutOfMemory: the memory does not hold a single window.
    """
    device = torch.device(device)
    lacking: Exception = RuntimeError()
    layout = layout or InputLayout.plain(image.shape[0])
    available = layout.available(present or (True,) * image.shape[0])
    holder = None if members is None else members.device(_shape(image), patch_size, classes, device)
    for attempt in _attempts(batch_size, device, holder):
        source = on_device(image, device) if attempt.keeps_on_device else image
        inputs = WindowInputs(source, patch_size, layout, available, device)
        try:
            return _predict(predict_patch, inputs, attempt, classes, overlap, mirrorings(mirror), on_window, members)
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
    """How an image is predicted: windows at once, whether the device may keep image and slab, and where members lie."""

    windows: int
    keeps_on_device: bool
    members_on: torch.device | None = None


def _attempts(windows: int, device: torch.device, holder: torch.device | None) -> Iterator[_Attempt]:
    """Ways to predict an image, each with less memory of the device.

    Args:
        windows: number of windows to begin with.
        device: device that predicts.
        holder: device that holds what is kept of members; None = nothing is kept.
    """
    if holder is not None:
        yield _Attempt(windows, device.type != "cpu", holder)
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


def _shape(image: Sliceable) -> Shape:
    return image.shape[1], image.shape[2], image.shape[3]


def _predict(
    predict_patch: Callable[[torch.Tensor], torch.Tensor],
    inputs: WindowInputs,
    attempt: _Attempt,
    classes: int,
    overlap: float,
    flips: Sequence[tuple[int, ...]],
    on_window: Callable[[int, int], None] | None,
    members: MemberLabels | None,
) -> NDArray[np.float16]:
    """Predict all windows of an image; the arguments are those of `predict_probabilities`."""
    shape, patch_size = inputs.shape, inputs.patch_size
    starts = [window_starts(n, p, overlap) for n, p in zip(shape, patch_size, strict=True)]
    holder = slab_device(
        inputs.device if attempt.keeps_on_device else torch.device("cpu"), slab_bytes(shape, patch_size, classes)
    )
    result = np.zeros((classes, *shape), dtype=np.float16)
    sums = [SlabSums(shape, patch_size, starts, classes, holder, into_probabilities(result))]
    if members is not None:
        members.maps = []
        if attempt.members_on is not None:
            sums += members.begin(shape, patch_size, starts, classes, attempt.members_on)
    predict = _alone(predict_patch) if len(sums) == 1 or members is None else members.predict
    windows = sorted(product(*starts), key=lambda window: window[sums[0].axis])
    for begin in range(0, len(windows), attempt.windows):
        batch = windows[begin : begin + attempt.windows]
        for of_one, predicted in zip(sums, _mirrored_means(predict, inputs.of(batch), flips), strict=True):
            for window, probabilities in zip(batch, predicted, strict=True):
                of_one.add(window, probabilities)
        if on_window is not None:
            on_window(begin + len(batch), len(windows))
    for of_one in sums:
        of_one.finish()
    return result


def _alone(predict_patch: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], Sequence[torch.Tensor]]:
    return lambda patches: (predict_patch(patches),)


def _mirrored_means(
    predict: Callable[[torch.Tensor], Sequence[torch.Tensor]], patches: torch.Tensor, flips: Sequence[tuple[int, ...]]
) -> list[torch.Tensor]:
    """Means over mirrorings of what is predicted of patches (batch, channel, z, y, x), each (batch, K, z, y, x)."""
    if len(flips) == 1 and not flips[0]:
        # nothing is summed up, so that no copy is needed
        return [one.float() for one in predict(patches)]
    # flip makes a copy, so that the sum never changes a tensor of the caller
    dims = [[axis + 2 for axis in axes] for axes in flips]
    totals = [one.float().flip(dims[0]) for one in predict(patches.flip(dims[0]))]
    for axes in dims[1:]:
        for total, one in zip(totals, predict(patches.flip(axes)), strict=True):
            total += one.float().flip(axes)
    return [total.div_(len(flips)) for total in totals]
