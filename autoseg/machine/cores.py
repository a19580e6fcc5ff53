"""The cores that this process may use."""

from __future__ import annotations

import psutil


def usable_cores() -> list[int]:
    """Numbers of the cores that this process may use, which can be fewer than the machine has."""
    if hasattr(psutil.Process, "cpu_affinity"):
        return list(psutil.Process().cpu_affinity())
    return list(range(psutil.cpu_count() or 1))


def available_cores() -> int:
    """How many they are."""
    return len(usable_cores())
