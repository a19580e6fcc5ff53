"""From a patch to class probabilities: the same precision and the same soft-max wherever a network predicts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from autoseg.machine.device import half_precision


@torch.inference_mode()
def mean_probabilities(networks: Sequence[nn.Module], patches: torch.Tensor) -> torch.Tensor:
    """Mean over networks of the soft-max of their logits.

    Args:
        networks: in evaluation mode, on the device of the patches; at least one.
        patches: (B, C, z, y, x).

    Returns:
        (B, K, z, y, x) float32, summing to 1 over K.
    """
    half = half_precision(patches.device, learning=False)
    total: torch.Tensor | None = None
    for network in networks:
        with torch.autocast(patches.device.type, half, enabled=half is not None):
            logits = network(patches)
        probabilities = torch.softmax(logits.float(), dim=1)
        total = probabilities if total is None else total.add_(probabilities)
    if total is None:
        raise ValueError("no network to predict with")
    return total if len(networks) == 1 else total.div_(len(networks))
