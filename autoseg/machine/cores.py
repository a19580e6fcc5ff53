"""The processor cores that this process may use."""

from __future__ import annotations

import psutil


def usable_cores() -> list[int]:
    """Return the indices of the cores that this process may use; they can be fewer than the machine has."""
    if hasattr(psutil.Process, "cpu_affinity"):
        return list(psutil.Process().cpu_affinity())
    return list(range(psutil.cpu_count() or 1))


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(usable_cores())
