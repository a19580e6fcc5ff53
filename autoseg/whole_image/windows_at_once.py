"""How many windows of an image are predicted at once, by device, size of a window, and free memory.

A GPU is busy with one large window, and idles between the kernels of a small one. So windows are put together until
they have about as many voxels as two patches of 128³, and fewer where the free memory holds fewer. A CPU is no faster
with several windows at once.
"""

from __future__ import annotations

import math

import torch

from autoseg.machine.device_memory import free_device_memory
from autoseg.plan.configuration import Configuration

VOXELS_AT_ONCE = 2 * 128**3
MOST_WINDOWS = 64
SHARE_OF_FREE_MEMORY = 0.25

_FEATURE_MAPS = 6
"""Feature maps of the first stage that are in memory at once: a skip connection, its copy joined to the one from
below, and input and output of a convolution and of its normalisation."""

_MAPS_OF_CLASSES = 4
"""Logits, probabilities of one network, their sum over networks and over mirrored windows."""


def windows_at_once(configuration: Configuration, channels: int, classes: int, device: torch.device) -> int:
    """Return the number of windows of a batch.

    Args:
        configuration: gives the size of a window and the features of the network's first stage.
        channels: number of channels of the network's input.
        classes: number of classes, background included.
        device: device that predicts.
    """
    if device.type == "cpu":
        return 1
    if device.type != "cuda":
        # the free memory is not known, and training holds so many patches
        return configuration.batch_size
    voxels = math.prod(configuration.patch_size)
    maps = _FEATURE_MAPS * configuration.network.features[0] + _MAPS_OF_CLASSES * classes + 2 * channels
    fitting = SHARE_OF_FREE_MEMORY * (free_device_memory(device) or 0) / (4 * maps * voxels)
    return max(1, min(MOST_WINDOWS, VOXELS_AT_ONCE // voxels, int(fitting)))
