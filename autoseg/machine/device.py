"""The device that torch computes on, from the name that the user gives, and its dtype and memory layout."""

from __future__ import annotations

import torch

from autoseg.errors import InputError
from autoseg.machine.cpu_bfloat16 import bfloat16_pays, has_matrix_units


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


def release_cached_memory() -> None:
    """Give back the memory of GPUs that torch keeps in this process, before other processes compute there."""
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


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
