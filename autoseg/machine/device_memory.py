"""The memory of the device that a network computes on, where that is not the machine's own memory."""

from __future__ import annotations

import torch

from autoseg.memory import free_memory, readable_bytes


def free_device_memory(device: torch.device) -> int | None:
    """Bytes that are free on a CUDA device, other programs' use taken off; None elsewhere: the machine's memory counts.

    What torch has taken of a device and does not use counts as free, since it is used first.
    """
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + cached
    return None


def described(device: torch.device) -> str:
    """A device with its name and free memory, such as `cuda:0 (NVIDIA H200, 1.2 GB of 150 GB free)`."""
    if device.type == "cpu":
        return f"cpu ({readable_bytes(free_memory())} free)"
    if device.type != "cuda":
        return str(device)
    try:
        free, total = torch.cuda.mem_get_info(device)
        name = torch.cuda.get_device_name(device)
    except RuntimeError:
        # a device that has just failed may not answer
        return str(device)
    return f"{device} ({name}, {readable_bytes(free)} of {readable_bytes(total)} free)"
