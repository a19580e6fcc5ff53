"""Augmentation of contrast: random maps of the intensities, and slow variation over space.

In: one channel of a patch (z, y, x), float32, and a random generator. Out: the changed channel. A network that has seen
only bright livers does not find a dark one. So a map says for each intensity of the patch which one it becomes: a
rising curve through random points or, in a part of the patches, a falling one (after Zhou et al., Models Genesis,
arXiv:1908.06912, section 3.2). A bias field is a smooth factor over the patch, as the coils of a scanner make it
(after Sudre et al., NiftyNet, arXiv:1709.03485).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

Channel = NDArray[np.float32]

POINTS = 5
"""Number of points of a map, from the lowest intensity to the highest one."""

FALLING = 1 / 3
"""Share of the maps that fall: what was bright becomes dark."""

FIELD_POINTS, FIELD_SD = 4, 0.25
"""Points along each axis between which a bias field is smooth, and standard deviation of its logarithm there."""

LOWEST, HIGHEST = 1.0, 99.0
"""Percentiles of the intensities between which a map has its points: single voxels do not stretch it."""

MOST_VALUES = 10_000
"""Number of voxels, evenly spaced, from which the percentiles are taken."""


@dataclass(frozen=True)
class ContrastMap:
    """A map of intensities.

    Args:
        heights: where each of the evenly spaced points goes, from 0 (lowest intensity) to 1 (highest one).
    """

    heights: tuple[float, ...]


@dataclass(frozen=True)
class Contrast:
    """Fields and maps that were drawn for a patch, by the index of the channel; other channels are not changed.

    Args:
        fields: logarithm of a bias field at its points (z, y, x).
        maps: map of the values.
    """

    fields: dict[int, NDArray[np.float32]]
    maps: dict[int, ContrastMap]


def draw_contrast(rng: np.random.Generator, channels: Sequence[int], probability: float) -> Contrast:
    """Draw whether a patch gets bias fields, and whether it gets maps; each channel has its own.

    Args:
        rng: random generator, not used where the probability is 0.
        channels: indices of the channels that may be changed.
        probability: probability of fields, and that of maps.
    """
    fields = {c: draw_field(rng) for c in channels} if probability and rng.random() < probability else {}
    maps = {c: draw_map(rng) for c in channels} if probability and rng.random() < probability else {}
    return Contrast(fields, maps)


def apply_contrast(image: NDArray[np.float32], contrast: Contrast) -> None:
    """Apply drawn fields and maps to a patch (C, z, y, x) in place."""
    for c, logarithm in contrast.fields.items():
        image[c] = apply_field(image[c], logarithm)
    for c, drawn in contrast.maps.items():
        image[c] = apply_map(image[c], drawn)


def draw_map(rng: np.random.Generator) -> ContrastMap:
    """Draw a curve that rises from 0 to 1, or falls from 1 to 0, through random heights."""
    rises = rng.dirichlet(np.ones(POINTS - 1))
    heights = np.concatenate([[0.0], np.cumsum(rises)])
    return ContrastMap(tuple((heights[::-1] if rng.random() < FALLING else heights).tolist()))


def apply_map(channel: Channel, drawn: ContrastMap) -> Channel:
    """The channel with its intensities mapped; beyond the percentiles the curve is flat.

    Mean and standard deviation stay as they were, so that the map changes the order and the distances of tissues only.
    """
    values = channel.ravel()[:: max(1, channel.size // MOST_VALUES)]
    lowest, highest = np.percentile(values, (LOWEST, HIGHEST))
    mapped = np.interp(channel, np.linspace(lowest, highest, POINTS), drawn.heights).astype(np.float32)
    sd = mapped.std()
    if highest <= lowest or not sd:
        return channel
    return (mapped - mapped.mean()) * np.float32(channel.std() / sd) + channel.mean()


def draw_field(rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw the logarithm of a bias field at `FIELD_POINTS` points along each axis (z, y, x)."""
    return np.float32(FIELD_SD) * rng.standard_normal((FIELD_POINTS,) * 3, dtype=np.float32)


def apply_field(channel: Channel, logarithm: NDArray[np.float32]) -> Channel:
    """The channel times a bias field; its lowest intensity counts as no signal.

    Args:
        channel: intensities (z, y, x).
        logarithm: logarithm of the field at its points (z, y, x), between which it is interpolated.
    """
    coarse = torch.from_numpy(logarithm)[None, None]
    field = F.interpolate(coarse, size=channel.shape, mode="trilinear", align_corners=True)[0, 0].exp_().numpy()
    lowest = channel.min()
    return (channel - lowest) * field + lowest
