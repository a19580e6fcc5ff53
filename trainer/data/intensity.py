"""Intensity augmentation of the present channels of one patch, and mirroring.

In: a patch and a random generator. Out: the changed patch. Each transform is a function of one channel (z, y, x),
float32, and its parameters. `augment_intensity` draws the parameters with the probabilities and ranges of nnU-Net
(Isensee et al., Nature Methods 2021, supplementary note 2; release 2.8.1). batchgenerators has the same transforms, but
they draw from the global random states, so that a patch would not depend on (seed, step, place) only. Its noise and low
resolution are also two to five times slower (`benchmarks/augmentation.py`).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Patch = NDArray[np.float32]


def add_noise(channel: Patch, sd: float, rng: np.random.Generator) -> Patch:
    """Add Gaussian noise of standard deviation `sd`."""
    return channel + np.float32(sd) * rng.standard_normal(channel.shape, dtype=np.float32)


def blur(channel: Patch, sigma: tuple[float, float, float]) -> Patch:
    """Blur with a Gaussian of standard deviation `sigma` in voxels along (z, y, x)."""
    return gaussian_filter(channel, sigma)


def change_contrast(channel: Patch, factor: float) -> Patch:
    """Multiply the distance of each value to the mean by `factor`, and clip to the original range of values."""
    mean = channel.mean()
    return np.clip((channel - mean) * np.float32(factor) + mean, channel.min(), channel.max())


def lower_resolution(channel: Patch, scale: float, axes: tuple[int, ...]) -> Patch:
    """Resample to `scale` times the voxels along `axes` by nearest neighbour, and back by linear interpolation."""
    size = [max(1, round(n * scale)) if axis in axes else n for axis, n in enumerate(channel.shape)]
    small = F.interpolate(torch.from_numpy(channel)[None, None], size=size, mode="nearest-exact")
    return F.interpolate(small, size=channel.shape, mode="trilinear")[0, 0].numpy()


def change_gamma(channel: Patch, gamma: float, inverted: bool) -> Patch:
    """Raise the values, scaled to [0, 1], to the power `gamma`; keep mean and standard deviation.

    Args:
        channel: channel (z, y, x).
        gamma: exponent; below 1 it spreads dark values.
        inverted: whether the negative image is changed, so that bright values are spread instead of dark ones.
    """
    source = -channel if inverted else channel
    lowest, highest = source.min(), source.max()
    if highest <= lowest:
        return channel
    mean, sd = source.mean(), source.std()
    # exp of log gives the same power in half the time; an exact 0 becomes exp(-inf) = 0
    with np.errstate(divide="ignore"):
        powered = np.exp(np.float32(gamma) * np.log((source - lowest) / (highest - lowest)))
    result = (powered - powered.mean()) * (sd / max(powered.std(), np.float32(1e-8))) + mean
    return -result if inverted else result


def augment_intensity(
    image: NDArray[np.float32],
    present: tuple[bool, ...],
    axes: tuple[int, ...],
    rng: np.random.Generator,
    *,
    unblurred: tuple[int, ...] = (),
) -> None:
    """Augment the intensities of a patch (C, z, y, x) in place; absent channels are not changed.

    Args:
        image: image of the patch (C, z, y, x), changed in place.
        present: for each channel whether it is present.
        axes: axes along which the resolution may be lowered; only those within slices if slices are treated as 2D
            images.
        rng: random generator that draws all transforms and their parameters.
        unblurred: axes along which nothing is blurred: across slices that become channels of their own.
    """
    channels = [c for c, there in enumerate(present) if there]
    if rng.random() < 0.1:
        # all channels have the same standard deviation, but each has its own noise
        sd = rng.uniform(0, 0.1)
        for c in channels:
            image[c] = add_noise(image[c], sd, rng)
    if rng.random() < 0.2:
        for c in _some(channels, rng):
            z, y, x = (0.0 if axis in unblurred else s for axis, s in enumerate(rng.uniform(0.5, 1, 3)))
            image[c] = blur(image[c], (z, y, x))
    if rng.random() < 0.15:
        for c in channels:
            image[c] *= np.float32(_around_one(0.75, 1.25, rng))
    if rng.random() < 0.15:
        for c in channels:
            image[c] = change_contrast(image[c], _around_one(0.75, 1.25, rng))
    if rng.random() < 0.25:
        for c in _some(channels, rng):
            image[c] = lower_resolution(image[c], rng.uniform(0.5, 1), axes)
    for probability, inverted in ((0.1, True), (0.3, False)):
        if rng.random() < probability:
            for c in channels:
                image[c] = change_gamma(image[c], _around_one(0.7, 1.5, rng), inverted)


def mirror(
    image: NDArray[np.float32], label: NDArray[np.uint8], flipped: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Views of image (C, z, y, x) and label (z, y, x), mirrored along the axes `flipped` (0 = z, 1 = y, 2 = x)."""
    return np.flip(image, tuple(a + 1 for a in flipped)), np.flip(label, flipped)


def _some(channels: list[int], rng: np.random.Generator) -> list[int]:
    """Draw a subset of the channels: each with probability one half."""
    return [c for c in channels if rng.random() < 0.5]


def _around_one(low: float, high: float, rng: np.random.Generator) -> float:
    """Draw a factor that is below or above one with equal chances, and uniform on either side."""
    return float(rng.uniform(low, 1) if rng.random() < 0.5 else rng.uniform(1, high))
