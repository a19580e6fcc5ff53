"""The device that torch computes on, from the name that the user gives, and its dtype and memory layout."""

from __future__ import annotations

import torch

from autoseg.errors import InputError
from autoseg.machine.cpu_bfloat16 import bfloat16_pays, has_matrix_units
from autoseg.memory import free_memory, readable_bytes


def resolve_device(name: str) -> torch.device:
    """Return the device called `name`; `auto` chooses CUDA, else Apple's MPS, else the CPU.

    Args:
        name: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        InputError: the name is unknown, or this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device {name!r} is unknown; choose auto, cpu, cuda or mps") from None
    if device.type == "cuda":
        _require_cuda(device)
    elif device.type == "mps" and not _has_mps():
        raise InputError("device mps: this machine or this build of torch has no MPS; use --device cpu")
    elif device.type not in ("cpu", "mps"):
        raise InputError(f"device {name!r} is unknown; choose auto, cpu, cuda or mps")
    return device


def half_precision(device: torch.device, *, learning: bool) -> torch.dtype | None:
    """Return the dtype of mixed precision on a device.

    Args:
        device: device on which a network computes.
        learning: True for training, False for prediction.

    Returns:
        bfloat16 on GPUs that support it, float16 on older GPUs; bfloat16 on CPUs that are faster in it, but on those
        with matrix units only in prediction; None = single precision on all others.
    """
    if device.type == "cpu":
        return torch.bfloat16 if bfloat16_pays() and not (learning and has_matrix_units()) else None
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def memory_format(device: torch.device) -> torch.memory_format:
    """Return the memory layout in which 3D convolutions are fastest on a device."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last_3d


def precision(device: torch.device) -> str:
    """Return the name of the dtype of training on a device: `float32`, `bfloat16` or `float16`."""
    return str(half_precision(device, learning=True) or torch.float32).removeprefix("torch.")


def free_device_memory(device: torch.device) -> int:
    """Return the free bytes of a CUDA device; 0 for the others, whose memory is the CPU's or is not known.

    What torch has taken of the device and does not use counts as free, since it is used first.
    """
    if device.type != "cuda":
        return 0
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + cached


def described(device: torch.device) -> str:
    """Return a device with its name and free memory, such as `cuda:0 (NVIDIA H200, 1.2 GB of 150 GB free)`."""
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


def _require_cuda(device: torch.device) -> None:
    if not torch.cuda.is_available():
        build = f"torch {torch.__version__}"
        why = "is a build without CUDA" if torch.version.cuda is None else "finds no usable GPU or driver"
        raise InputError(f"device {device}: {build} {why}; install a CUDA build or use --device cpu")
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        raise InputError(f"device {device}: this machine has {count} CUDA device(s), counted from cuda:0")


def _has_mps() -> bool:
    return torch.backends.mps.is_available()
