"""The processor cores that this process may use."""

from __future__ import annotations

from collections.abc import Sequence

import psutil


def usable_cores() -> list[int]:
    """Return the indices of the cores that this process may use; they can be fewer than the machine has."""
    if hasattr(psutil.Process, "cpu_affinity"):
        return list(psutil.Process().cpu_affinity())
    return list(range(psutil.cpu_count() or 1))


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(usable_cores())


def take_cores(cores: Sequence[int]) -> bool:
    """Let this process, and those that it starts, use these cores alone; threads that torch starts later follow.

    Args:
        cores: indices of cores that this process may use.

    Returns:
        Whether it was done; macOS has no way to do it.
    """
    if not hasattr(psutil.Process, "cpu_affinity"):
        return False
    try:
        psutil.Process().cpu_affinity(list(cores))
    except (OSError, ValueError, psutil.Error):
        # some sandboxes do not allow it
        return False
    return True
