"""Make the image of a drawn patch on the device that trains: resampled, changed in intensity, and mirrored.

In: what a process read and drew for a patch (`drawn_patch.py`). Out: the image (C, z, y, x), float32. The transforms
are those of `intensity.py` and `contrast.py`, with the same parameters, in the same order and with the same
mathematics; noise alone is another one, since a GPU has generators of its own. Every function takes one channel
(z, y, x). Nothing here waits for a GPU: no value is looked at, so what depends on values is chosen by `torch.where`. No
function uses cuDNN, whose choice of algorithm changes bits.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F

from trainer.data.contrast import HIGHEST, LOWEST, MOST_VALUES, POINTS, Contrast, ContrastMap
from trainer.data.intensity import IntensityTransform, SeededNoise, Sigma

TRUNCATED = 4.0
"""Standard deviations after which a Gaussian is cut off, as by scipy's `gaussian_filter`."""


def change_intensity(image: torch.Tensor, transform: IntensityTransform) -> None:
    """Apply the drawn transforms to a patch (C, z, y, x) in place; channels without an entry are not changed."""
    for c, noise in transform.seeded.items():
        image[c] += draw_noise(image[c], noise)
    for c, sigma in transform.blur.items():
        image[c] = blur(image[c], sigma)
    for c, factor in transform.brightness.items():
        image[c] *= factor
    for c, factor in transform.contrast.items():
        image[c] = change_contrast(image[c], factor)
    for c, scale in transform.resolution.items():
        image[c] = lower_resolution(image[c], scale, transform.axes)
    for c, exponent in transform.inverted_gamma.items():
        image[c] = change_gamma(image[c], exponent, inverted=True)
    for c, exponent in transform.gamma.items():
        image[c] = change_gamma(image[c], exponent, inverted=False)
    map_contrast(image, transform.mapped)


def draw_noise(channel: torch.Tensor, noise: SeededNoise) -> torch.Tensor:
    """Independent Gaussian noise of a channel's shape, drawn on its device from the seed."""
    generator = torch.Generator(device=channel.device).manual_seed(noise.seed)
    return noise.sd * torch.randn(channel.shape, generator=generator, device=channel.device)


def blur(channel: torch.Tensor, sigma: Sigma) -> torch.Tensor:
    """Blur with a Gaussian of standard deviation `sigma` in voxels along (z, y, x); the border is reflected."""
    for axis, sd in enumerate(sigma):
        if sd > 0:
            channel = _blurred_along(channel, axis, sd)
    return channel


def _blurred_along(channel: torch.Tensor, axis: int, sd: float) -> torch.Tensor:
    reach, length = int(TRUNCATED * sd + 0.5), channel.shape[axis]
    weights = [math.exp(-0.5 * (step / sd) ** 2) for step in range(reach + 1)]
    whole = weights[0] + 2 * sum(weights[1:])
    # the outermost voxel is repeated, and a short axis is reflected several times
    index = torch.arange(-reach, length + reach, device=channel.device).remainder(2 * length)
    index = torch.minimum(index, 2 * length - 1 - index)
    padded = channel.index_select(axis, index)
    blurred = padded.narrow(axis, reach, length) * (weights[0] / whole)
    for step in range(1, reach + 1):
        for start in (reach - step, reach + step):
            blurred.add_(padded.narrow(axis, start, length), alpha=weights[step] / whole)
    return blurred


def change_contrast(channel: torch.Tensor, factor: float) -> torch.Tensor:
    """Multiply the distance of each value to the mean by `factor`, and clip to the original range of values."""
    mean = channel.mean()
    return ((channel - mean) * factor + mean).clamp(channel.amin(), channel.amax())


def lower_resolution(channel: torch.Tensor, scale: float, axes: tuple[int, ...]) -> torch.Tensor:
    """Resample to `scale` times the voxels along `axes` by nearest neighbour, and back by linear interpolation."""
    size = [max(1, round(n * scale)) if axis in axes else n for axis, n in enumerate(channel.shape)]
    small = F.interpolate(channel[None, None], size=size, mode="nearest-exact")
    return F.interpolate(small, size=list(channel.shape), mode="trilinear")[0, 0]


def change_gamma(channel: torch.Tensor, gamma: float, inverted: bool) -> torch.Tensor:
    """Raise the values, scaled to [0, 1], to the power `gamma`; keep mean and standard deviation.

    Args:
        channel: values (z, y, x) of one channel; one of equal values stays as it is.
        gamma: exponent; below 1 it spreads dark values.
        inverted: whether the negative image is changed, so that bright values are spread instead of dark ones.
    """
    source = -channel if inverted else channel
    lowest, highest = source.amin(), source.amax()
    powered = ((source - lowest) / (highest - lowest)) ** gamma
    result = (powered - powered.mean()) * (_sd(source) / _sd(powered).clamp_min(1e-8)) + source.mean()
    return torch.where(highest > lowest, -result if inverted else result, channel)


def map_contrast(image: torch.Tensor, contrast: Contrast) -> None:
    """Apply drawn fields and maps to a patch (C, z, y, x) in place."""
    for c, logarithm in contrast.fields.items():
        # some hundred bytes, which do not make the CPU wait
        image[c] = apply_field(image[c], torch.from_numpy(logarithm).to(image.device, non_blocking=True))
    for c, drawn in contrast.maps.items():
        image[c] = apply_map(image[c], drawn)


def apply_field(channel: torch.Tensor, logarithm: torch.Tensor) -> torch.Tensor:
    """The channel times a bias field, whose logarithm (z, y, x) is given at its points; see `contrast.apply_field`."""
    size = list(channel.shape)
    field = F.interpolate(logarithm[None, None], size=size, mode="trilinear", align_corners=True)[0, 0].exp()
    lowest = channel.amin()
    return (channel - lowest) * field + lowest


def apply_map(channel: torch.Tensor, drawn: ContrastMap) -> torch.Tensor:
    """The channel with its intensities mapped; beyond the percentiles the curve is flat; see `contrast.apply_map`."""
    values = channel.reshape(-1)[:: max(1, channel.numel() // MOST_VALUES)].sort().values
    lowest, highest = _percentile(values, LOWEST), _percentile(values, HIGHEST)
    # position on the curve in points, from 0 to the last one
    position = (channel - lowest) / (highest - lowest) * (POINTS - 1)
    mapped = torch.full_like(channel, drawn.heights[0])
    for point, (height, following) in enumerate(pairwise(drawn.heights)):
        mapped.add_((position - point).clamp(0, 1), alpha=following - height)
    sd = _sd(mapped)
    result = (mapped - mapped.mean()) * (_sd(channel) / sd) + channel.mean()
    return torch.where((highest > lowest) & (sd > 0), result, channel)


def _percentile(ascending: torch.Tensor, percent: float) -> torch.Tensor:
    """A percentile of sorted values, linearly interpolated between two of them."""
    place = percent / 100 * (len(ascending) - 1)
    below = int(place)
    above = min(below + 1, len(ascending) - 1)
    return torch.lerp(ascending[below], ascending[above], place - below)


def _sd(values: torch.Tensor) -> torch.Tensor:
    return values.std(correction=0)
