"""Normalises the intensities of each channel, before resampling.

Isensee et al. 2021 (Nature Methods 18:203), supplement: CT is clipped to the 0.5 and 99.5
percentiles of the training set's foreground and z-scored by the foreground's mean and standard
deviation. Every other modality is z-scored by the image's own mean and standard deviation, within its non-zero
voxels if the crop removes much of the images. The 8-bit colours of pictures are divided by 255, as nnU-Net's scheme for
natural images does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from autoseg.plan.plan import Channel

SMALLEST_SD = 1e-8
HIGHEST_COLOUR = 255


def normalize(
    image: NDArray[np.float32],
    mask: NDArray[np.bool_],
    channels: Sequence[Channel],
    present: Sequence[bool],
) -> NDArray[np.float32]:
    """Return a normalised copy of `image`.

    Args:
        image: image (channel, z, y, x) with acquired intensities, cropped to the box of its non-zero voxels.
        mask: mask (z, y, x) of its non-zero voxels, from `nonzero_mask`.
        channels: channels of the plan, which say how each channel is normalised.
        present: for each channel whether it was acquired; an absent one is zero in the result.

    Returns:
        The image (channel, z, y, x) float32, C-contiguous. A channel that is normalised inside the mask only is zero
        outside of it.
    """
    out = np.zeros(image.shape, dtype=np.float32)
    for source, target, channel, there in zip(image, out, channels, present, strict=True):
        if not there:
            continue
        if channel.normalization == "ct":
            low, high = channel.foreground.percentile_00_5, channel.foreground.percentile_99_5
            np.clip(source, low, high, out=target)
            _standardize(target, channel.foreground.mean, channel.foreground.sd)
        elif channel.normalization == "rgb_to_0_1":
            np.divide(source, np.float32(HIGHEST_COLOUR), out=target)
        else:
            inside = mask if channel.inside_nonzero_mask else None
            target[...] = source
            _standardize(target, *_mean_and_sd(source, inside), inside)
    return out


def _standardize(array: NDArray[np.float32], mean: float, sd: float, mask: NDArray[np.bool_] | None = None) -> None:
    """Subtract `mean` and divide by `sd` in place, where `mask` is true, or everywhere if it is None."""
    where = True if mask is None else mask
    np.subtract(array, np.float32(mean), out=array, where=where)
    np.divide(array, np.float32(max(sd, SMALLEST_SD)), out=array, where=where)


def _mean_and_sd(array: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> tuple[float, float]:
    """Mean and standard deviation in double precision, plane by plane to avoid a copy of the image."""
    count = array.size if mask is None else int(np.count_nonzero(mask))
    if count == 0:
        return 0.0, 1.0
    mean = sum(float(values.sum(dtype=np.float64)) for values in _planes(array, mask)) / count
    squares = sum(float(np.square(values - mean, dtype=np.float64).sum()) for values in _planes(array, mask))
    return mean, float(np.sqrt(squares / count))


def _planes(array: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> Iterator[NDArray[np.float32]]:
    """Yield the values of each plane along z, only those inside the mask if there is one."""
    for z, plane in enumerate(array):
        yield plane if mask is None else plane[mask[z]]
