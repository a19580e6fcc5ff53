"""The memory that is still free for this process, and which errors mean that it was too little."""

from __future__ import annotations

import errno
import re
import sys
from pathlib import Path, PurePosixPath

import psutil

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")
# what libraries in C++ say (the C++ library, ITK, torch, Blosc2), in lower case
_SAID_OF_MEMORY = (
    *("bad_alloc", "bad allocation", "failed to allocate memory", "can't allocate memory", "cannot allocate memory"),
    *("not enough memory", "out of memory", "memory allocation", "can't start new thread"),
)
_SAID_OF_DEVICE_MEMORY = (
    # codes of cuDNN, cuBLAS, cuSOLVER and cuFFT, and of AMD's libraries in their place
    *("status_alloc_failed", "device_allocation_failed", "host_allocation_failed", "cufft_alloc_failed"),
    *("miopenstatusallocfailed", "cudaerrormemoryallocation", "hiperroroutofmemory"),
    # torch's words where no algorithm of cuDNN got the memory that it asked for (pytorch#108645)
    *("unable to find an engine to execute this computation", "unable to find a valid cudnn algorithm"),
)
_SAID_OF_OWN_MEMORY = ("defaultcpuallocator", "bad_alloc", "host_allocation_failed")
_SAID_OF_SHARED_MEMORY = ("shared memory object", "unable to write to file </torch_", "insufficient shared memory")
_LONGEST_SAID = 200


def free_memory() -> int:
    """Return the bytes of memory that are free, within the limits of the process and its control groups (version 2)."""
    return min([psutil.virtual_memory().available, *_left_by_groups(), *_left_by_own_limit()])


def total_memory() -> int:
    """Return the bytes of memory that this process can ever have: the machine's with swap, or its limits."""
    return min([psutil.virtual_memory().total + psutil.swap_memory().total, *_limits_of_groups(), *_own_limit()])


def lacks_memory(error: BaseException) -> bool:
    """Whether an error means that the memory was too little, in the words of any of the libraries used here."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error).lower()
    # a library whose file does not fit is an error of import
    if isinstance(error, ImportError):
        return "failed to map segment" in text or "cannot allocate memory" in text
    said_by_libraries = (*_SAID_OF_MEMORY, *_SAID_OF_DEVICE_MEMORY)
    return isinstance(error, RuntimeError) and any(said in text for said in said_by_libraries)


def lacks_own_memory(error: BaseException) -> bool:
    """Whether an error of `lacks_memory` is about this machine's memory, and not about that of a GPU."""
    return isinstance(error, MemoryError) or any(said in str(error).lower() for said in _SAID_OF_OWN_MEMORY)


def lacks_shared_memory(error: BaseException) -> bool:
    """Whether an error means that the shared memory (/dev/shm) is full, through which workers hand over tensors."""
    text = str(error).lower()
    full = "no space left on device" in text and ("/dev/shm" in text or "torch" in text)
    return full or "bus error" in text or any(said in text for said in _SAID_OF_SHARED_MEMORY)


def said_of_memory(error: BaseException) -> str:
    """Return what a library said of the memory that it lacks: how much it asked for where it told so."""
    lines = str(error).strip().splitlines()
    asked = re.search(r"tried to allocate ([\d.]+ ?\w+)", str(error), re.IGNORECASE)
    if asked is not None:
        return f"it was asked for {asked[1]} at once"
    return lines[0][:_LONGEST_SAID] if lines else ""


def readable_bytes(size: int) -> str:
    """Return a number of bytes as a text such as `4.4 GB`."""
    number = float(size)
    for unit in ("bytes", "KB", "MB", "GB", "TB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} PB"


def _left_by_own_limit() -> list[int]:
    """Bytes left below this process's limit of addresses; empty where it has none."""
    return [max(0, most - psutil.Process().memory_info().vms) for most in _own_limit()]


def _own_limit() -> list[int]:
    """Limit in bytes of this process's addresses (`ulimit -v`); empty where it has none."""
    # Windows has no such limits
    if sys.platform == "win32":
        return []
    import resource

    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    return [] if most == resource.RLIM_INFINITY else [most]


def _left_by_groups() -> list[int]:
    """Bytes left in this process's control group and in each group around it that has a limit."""
    return [left for group in _own_groups() if (left := _left(group)) is not None]


def _limits_of_groups() -> list[int]:
    """Limits in bytes of this process's control group and of each group around it that has one."""
    return [limit for group in _own_groups() if (limit := _limit(group)) is not None]


def _own_groups() -> list[Path]:
    """Folders of this process's control group and of each group around it."""
    try:
        lines = OWN_GROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    own = next((PurePosixPath(line.removeprefix("0::")) for line in lines if line.startswith("0::")), None)
    if own is None:
        return []
    return [GROUPS / group.relative_to("/") for group in (own, *own.parents)]


def _limit(group: Path) -> int | None:
    """Bytes that a group may use; None where it has no limit, or its files cannot be read."""
    try:
        return int((group / "memory.max").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _left(group: Path) -> int | None:
    """Bytes left below a group's limit; None where it has no limit, or its files cannot be read."""
    limit = _limit(group)
    if limit is None:
        return None
    try:
        used = int((group / "memory.current").read_text(encoding="utf-8"))
        counted = dict(line.split() for line in (group / "memory.stat").read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError):
        return None
    # the system frees inactive pages of files before it refuses memory to a process
    return max(0, limit - used + int(counted.get("inactive_file", 0)))
