"""Predicts class probabilities of patches; validation and prediction both use it, with the same precision."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from autoseg.machine.device import half_precision


@torch.inference_mode()
def mean_probabilities(
    networks: Sequence[nn.Module], patches: torch.Tensor, *, overlapping: bool = False
) -> torch.Tensor:
    """Mean over networks of the softmax of their logits, or of their sigmoid where the outputs are regions.

    Args:
        networks: networks in evaluation mode, on the device of the patches; at least one.
        patches: patches (batch, channel, z, y, x).
        overlapping: whether the outputs are regions, which may overlap.

    Returns:
        Probabilities (batch, K, z, y, x) float32, which sum to 1 over the K classes where they are not of regions.
    """
    total: torch.Tensor | None = None
    for network in networks:
        probabilities = _probabilities(network, patches, overlapping)
        total = probabilities if total is None else total.add_(probabilities)
    if total is None:
        raise ValueError("no network to predict with")
    return total if len(networks) == 1 else total.div_(len(networks))


@torch.inference_mode()
def mean_and_members(
    networks: Sequence[nn.Module], patches: torch.Tensor, *, overlapping: bool = False
) -> list[torch.Tensor]:
    """As `mean_probabilities`, to the same bits, followed by the probabilities of each network.

    Args:
        networks: networks in evaluation mode, on the device of the patches; at least one.
        patches: patches (batch, channel, z, y, x).
        overlapping: whether the outputs are regions, which may overlap.
    """
    members = [_probabilities(network, patches, overlapping) for network in networks]
    total = members[0].clone()
    for probabilities in members[1:]:
        total.add_(probabilities)
    return [total if len(networks) == 1 else total.div_(len(networks)), *members]


def _probabilities(network: nn.Module, patches: torch.Tensor, overlapping: bool) -> torch.Tensor:
    half = half_precision(patches.device, learning=False)
    with torch.autocast(patches.device.type, half, enabled=half is not None):
        logits = network(patches)
    return torch.sigmoid(logits.float()) if overlapping else torch.softmax(logits.float(), dim=1)
