"""Intensity augmentation of the present channels of one patch.

In: a patch and a random generator. Out: the changed patch. The transforms of all channels are drawn first
(`draw_intensity`), then applied (`apply_intensity`). Each transform is a function of one channel (z, y, x), float32,
and of its parameters.

Probabilities and ranges are nnU-Net's (Isensee et al., Nature Methods 2021, supplementary note 2; release 2.8.1).
batchgenerators has the same transforms (`batchgenerators_transforms.py`); its noise and low resolution are two to five
times slower (`benchmarks/augmentation.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from autoseg.image.geometry import Shape
from trainer.data.contrast import Contrast, apply_contrast, draw_contrast

Patch = NDArray[np.float32]
Sigma = tuple[float, float, float]

NOISE, BLUR, BRIGHTNESS, CONTRAST, LOW_RESOLUTION = 0.1, 0.2, 0.15, 0.15, 0.25
INVERTED_GAMMA, GAMMA = 0.1, 0.3
"""Probability that a patch gets the transform, one constant for each transform."""

CHANNEL = 0.5
"""Probability that blur or low resolution, where the patch gets it, changes a channel; the others change every one."""


@dataclass(frozen=True)
class SeededNoise:
    """Independent Gaussian noise that is drawn where it is added.

    Args:
        sd: standard deviation, in units of the normalised image.
        seed: seed of the generator that draws it.
    """

    sd: float
    seed: int


@dataclass(frozen=True)
class IntensityTransform:
    """The transforms that were drawn for a patch, in the order in which they are applied.

    Each dictionary has an entry for every channel that the transform changes, keyed by the channel's index.

    Args:
        noise: field (z, y, x) that is added to the channel.
        blur: standard deviation of a Gaussian in voxels along (z, y, x).
        brightness: factor of all values of the channel.
        contrast: factor of the distance of each value to the mean.
        resolution: share of the voxels along `axes` that a lower resolution keeps.
        axes: array axes (0 = z, 1 = y, 2 = x) along which the resolution is lowered.
        inverted_gamma: exponent of the values of the negative image.
        gamma: exponent of the values of the image.
        mapped: bias fields and maps of the values.
        seeded: noise that a device draws and adds, instead of `noise`.
    """

    noise: dict[int, Patch]
    blur: dict[int, Sigma]
    brightness: dict[int, float]
    contrast: dict[int, float]
    resolution: dict[int, float]
    axes: tuple[int, ...]
    inverted_gamma: dict[int, float]
    gamma: dict[int, float]
    mapped: Contrast
    seeded: dict[int, SeededNoise] = field(default_factory=dict)


def draw_intensity(
    rng: np.random.Generator,
    present: Sequence[bool],
    shape: Shape,
    axes: tuple[int, ...],
    *,
    unblurred: tuple[int, ...] = (),
    contrast_maps: float = 0.0,
    seed_noise: bool = False,
) -> IntensityTransform:
    """Draw the intensity transforms of one patch with nnU-Net's probabilities and ranges; contrast maps are ours.

    Args:
        rng: random generator that draws all transforms and their parameters.
        present: for each channel whether it is present; an absent channel gets no transform.
        shape: shape of the patch in voxels (z, y, x).
        axes: axes along which the resolution may be lowered; only those within slices if slices are treated as 2D
            images.
        unblurred: axes along which nothing is blurred: across slices that become channels of their own.
        contrast_maps: probability of a map of the intensities, and that of a bias field; each channel has its own.
        seed_noise: whether seeds of noise are drawn instead of its fields.
    """
    channels = [c for c, there in enumerate(present) if there]
    # these lines are the order of the draws: in another order every patch would be another one
    noisy = rng.random() < NOISE
    noise = _draw_noise(rng, channels, shape) if noisy and not seed_noise else {}
    seeded = _seed_noise(rng, channels) if noisy and seed_noise else {}
    blurred = {c: _draw_sigma(rng, unblurred) for c in _some(channels, rng)} if rng.random() < BLUR else {}
    brightness = {c: _around_one(0.75, 1.25, rng) for c in channels} if rng.random() < BRIGHTNESS else {}
    contrast = {c: _around_one(0.75, 1.25, rng) for c in channels} if rng.random() < CONTRAST else {}
    resolution = {c: rng.uniform(0.5, 1) for c in _some(channels, rng)} if rng.random() < LOW_RESOLUTION else {}
    inverted_gamma = {c: _around_one(0.7, 1.5, rng) for c in channels} if rng.random() < INVERTED_GAMMA else {}
    gamma = {c: _around_one(0.7, 1.5, rng) for c in channels} if rng.random() < GAMMA else {}
    # drawn last, and only where they are wanted: all other draws then stay as they are without them
    mapped = draw_contrast(rng, channels, contrast_maps)
    return IntensityTransform(
        noise, blurred, brightness, contrast, resolution, axes, inverted_gamma, gamma, mapped, seeded
    )


def apply_intensity(image: NDArray[np.float32], transform: IntensityTransform) -> None:
    """Apply the drawn transforms to a patch (C, z, y, x) in place; channels without an entry are not changed."""
    for c, noise in transform.noise.items():
        image[c] += noise
    for c, sigma in transform.blur.items():
        image[c] = blur(image[c], sigma)
    for c, factor in transform.brightness.items():
        image[c] *= np.float32(factor)
    for c, factor in transform.contrast.items():
        image[c] = change_contrast(image[c], factor)
    for c, scale in transform.resolution.items():
        image[c] = lower_resolution(image[c], scale, transform.axes)
    for c, exponent in transform.inverted_gamma.items():
        image[c] = change_gamma(image[c], exponent, inverted=True)
    for c, exponent in transform.gamma.items():
        image[c] = change_gamma(image[c], exponent, inverted=False)
    apply_contrast(image, transform.mapped)


def noise_field(rng: np.random.Generator, shape: Shape, sd: float) -> Patch:
    """Draw a field (z, y, x) of independent Gaussian noise of standard deviation `sd`."""
    return np.float32(sd) * rng.standard_normal(shape, dtype=np.float32)


def blur(channel: Patch, sigma: Sigma) -> Patch:
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
        channel: values (z, y, x) of one channel.
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


def _draw_noise(rng: np.random.Generator, channels: Sequence[int], shape: Shape) -> dict[int, Patch]:
    """Draw noise for each channel: all have the same standard deviation, but each has a field of its own."""
    sd = rng.uniform(0, 0.1)
    return {c: noise_field(rng, shape, sd) for c in channels}


def _seed_noise(rng: np.random.Generator, channels: Sequence[int]) -> dict[int, SeededNoise]:
    """Draw the noise of each channel as `_draw_noise` does, but seeds instead of fields."""
    sd = rng.uniform(0, 0.1)
    return {c: SeededNoise(sd, int(rng.integers(2**63))) for c in channels}


def _draw_sigma(rng: np.random.Generator, unblurred: tuple[int, ...]) -> Sigma:
    """Draw the standard deviation of a blur in voxels along (z, y, x); it is 0 along the axes `unblurred`."""
    z, y, x = (0.0 if axis in unblurred else float(sd) for axis, sd in enumerate(rng.uniform(0.5, 1, 3)))
    return z, y, x


def _some(channels: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Draw a subset of the channels: each with probability `CHANNEL`."""
    return [c for c in channels if rng.random() < CHANNEL]


def _around_one(low: float, high: float, rng: np.random.Generator) -> float:
    """Draw a factor that is below or above one with equal chances, and uniform on either side."""
    return float(rng.uniform(low, 1) if rng.random() < 0.5 else rng.uniform(1, high))
