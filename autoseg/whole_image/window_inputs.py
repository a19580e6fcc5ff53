"""The network's input for windows of a whole image, made on the device where its memory holds the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from autoseg.image.geometry import Shape
from autoseg.machine.device_memory import free_device_memory
from autoseg.memory import lacks_memory
from autoseg.plan.network_input import InputLayout

DEVICE_SHARE = 0.25
"""Fraction of a device's free memory that an image may take; a larger one stays in the CPU's memory."""


class Sliceable(Protocol):
    """An array (channel, z, y, x) of numpy or blosc2, of which only the sliced parts are read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis."""

    def __getitem__(self, index: tuple[slice, ...]) -> NDArray[np.float32]:
        """Read a part of the array."""


def on_device(image: Sliceable, device: torch.device) -> Sliceable | torch.Tensor:
    """The image on the device, where that is not the CPU and its memory holds it; else the image as it is."""
    if not isinstance(image, np.ndarray) or image.nbytes > DEVICE_SHARE * (free_device_memory(device) or 0):
        return image
    try:
        return torch.from_numpy(np.ascontiguousarray(image)).to(device)
    except RuntimeError as error:
        if not lacks_memory(error):
            raise
        return image


@dataclass(frozen=True)
class WindowInputs:
    """Makes the network's input for windows of an image, on the device.

    Args:
        image: image (channel, z, y, x) float32; a tensor lies on the device already.
        patch_size: size (z, y, x) of a window in voxels.
        layout: layout of the network's input.
        available: for each of the layout's sequences whether the case has it.
        device: device on which the network expects its input.
    """

    image: Sliceable | torch.Tensor
    patch_size: Shape
    layout: InputLayout
    available: tuple[bool, ...]
    device: torch.device

    @property
    def shape(self) -> Shape:
        """Shape (z, y, x) of the image in voxels."""
        return self.image.shape[1], self.image.shape[2], self.image.shape[3]

    def of(self, windows: Sequence[Sequence[int]]) -> torch.Tensor:
        """Inputs (window, channel, z, y, x) of the windows that begin at these voxels."""
        where = self.device if isinstance(self.image, torch.Tensor) else torch.device("cpu")
        patches = torch.zeros((len(windows), len(self.layout.channels), *self.patch_size), device=where)
        for patch, window in zip(patches, windows, strict=True):
            self.layout.fill(patch, self._padded_region(window, where), self.available)
        return patches.to(self.device)

    def _padded_region(self, start: Sequence[int], where: torch.device) -> torch.Tensor:
        """Read the layout's sequences in the window at `start` with its halo; voxels outside the image are zero."""
        halo = self.layout.halo
        lower = [first - margin for first, margin in zip(start, halo, strict=True)]
        size = [n + 2 * margin for n, margin in zip(self.patch_size, halo, strict=True)]
        inside = [slice(max(a, 0), min(a + n, end)) for a, n, end in zip(lower, size, self.shape, strict=True)]
        placed = tuple(slice(part.start - a, part.stop - a) for part, a in zip(inside, lower, strict=True))
        region = torch.zeros((len(self.layout.places), *size), device=where)
        for target, place in zip(region, self.layout.places, strict=True):
            read = self.image[(slice(place, place + 1), *inside)][0]
            target[placed] = read if isinstance(read, torch.Tensor) else torch.from_numpy(read)
        return region
