"""The memory of the device that a network computes on, where that is not the machine's own memory."""

from __future__ import annotations

import torch


def free_device_memory(device: torch.device) -> int | None:
    """Bytes that are free on a device, other programs' use taken off; None on a CPU, whose memory is the machine's."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return None
