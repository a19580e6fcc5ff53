"""The device that torch computes on, from the name that the user gives, and its dtype and memory layout."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

import torch

from autoseg.errors import InputError
from autoseg.machine.cpu_bfloat16 import bfloat16_pays, has_matrix_units

CUDNN_WITHOUT_CONTIGUOUS_HALF = range(90800, 91500)
"""Versions of cuDNN (9.8.0 to before 9.15.0, as `torch.backends.cudnn.version` tells them) that need channels last."""


def resolve_device(name: str) -> torch.device:
    """Return the device called `name`; `auto` chooses CUDA, else Apple's MPS, else the CPU.

    Args:
        name: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        InputError: the name is unknown, or this machine has no such device.
    """
    device = _named(name)
    if device.type == "cuda":
        _require_cuda(device)
    elif device.type == "mps" and not _has_mps():
        raise InputError("device mps: this machine or this build of torch has no MPS; use --device cpu")
    return device


def device_to_plan_for(name: str) -> tuple[str, torch.device | None]:
    """Return the type of the device called `name`, and the device itself; None where this machine lacks its type.

    So a plan for a GPU can be made on a machine without one, such as the login node of a cluster.

    Args:
        name: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        InputError: the name is unknown, or this machine has CUDA devices, but not that many.
    """
    device = _named(name)
    absent = not torch.cuda.is_available() if device.type == "cuda" else device.type == "mps" and not _has_mps()
    return device.type, None if absent else resolve_device(name)


def computing_on(device: torch.device) -> AbstractContextManager[object]:
    """Context manager in which a CUDA device is the current one, so that nothing is put on the first card instead.

    Page-locked memory, random states and workspaces of libraries belong to the current device; each device that is
    touched takes some hundred megabytes. The fastest algorithm of each convolution is looked for once
    (`torch.backends.cudnn.benchmark`), since the shapes of patches are always the same.

    Args:
        device: device on which a network computes.
    """
    if device.type != "cuda":
        return nullcontext()
    stack = ExitStack()
    stack.enter_context(torch.cuda.device(device))
    stack.enter_context(torch.backends.cudnn.flags(enabled=True, benchmark=True))
    return stack


@contextmanager
def missing_layers_named(device: torch.device) -> Iterator[None]:
    """Context manager that names what torch lacks on a device, such as 3D convolutions on MPS in some releases.

    Args:
        device: device on which a network computes.

    Raises:
        InputError: torch lacks an operator that is used within the context.
    """
    try:
        yield
    except NotImplementedError as error:
        operator = re.search(r"aten::\w+", str(error))
        what = f"{operator[0]}, which the network needs" if operator else "a layer of the network"
        raise InputError(
            f"device {device}: torch {torch.__version__} lacks {what}; install a newer torch, or use --device cpu"
        ) from None


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
    """Return the memory layout in which 3D convolutions are fastest on a device.

    On CUDA it is the contiguous one, except with those releases of cuDNN whose convolutions torch avoids in half
    precision unless channels come last (pytorch/pytorch#59168, #166122): what it does instead takes several times the
    memory and the time.
    """
    if device.type == "cuda":
        version = torch.backends.cudnn.version()
        needs_channels_last = version is not None and version in CUDNN_WITHOUT_CONTIGUOUS_HALF
        return torch.channels_last_3d if needs_channels_last else torch.contiguous_format
    return torch.contiguous_format if device.type == "mps" else torch.channels_last_3d


def precision(device: torch.device) -> str:
    """Return the name of the dtype of training on a device: `float32`, `bfloat16` or `float16`."""
    return str(half_precision(device, learning=True) or torch.float32).removeprefix("torch.")


def _named(name: str) -> torch.device:
    """The device that a name stands for, whether or not this machine has it.

    Raises:
        InputError: the name is unknown.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    # of CPU and MPS there is one, so a number after their name is a slip
    if device is None or device.type not in ("cpu", "cuda", "mps") or (device.type != "cuda" and device.index):
        raise InputError(f"device {name!r} is unknown; choose auto, cpu, cuda, cuda:N (N from 0) or mps")
    return device


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
