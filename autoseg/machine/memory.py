"""The memory that is still free on the machine, or in the container or batch job that this process runs in."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import psutil

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")


def free_memory() -> int:
    """Return the bytes of memory that are free, within the limits of the process's control groups (version 2)."""
    return min([psutil.virtual_memory().available, *_left_by_groups()])


def total_memory() -> int:
    """Return the bytes of memory that this process can ever have: the machine's with swap, or its groups' limit."""
    return min([psutil.virtual_memory().total + psutil.swap_memory().total, *_limits_of_groups()])


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
