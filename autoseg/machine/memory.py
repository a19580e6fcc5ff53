"""The memory that is still free on the machine, or in the container or batch job that this process runs in."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import psutil

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")


def free_memory() -> int:
    """Return the bytes of memory that are free, within the limits of the process's control groups (version 2)."""
    return min([psutil.virtual_memory().available, *_left_by_groups()])


def _left_by_groups() -> list[int]:
    """Bytes left in this process's control group and in each group around it that has a limit."""
    try:
        lines = OWN_GROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    own = next((PurePosixPath(line.removeprefix("0::")) for line in lines if line.startswith("0::")), None)
    if own is None:
        return []
    groups = [GROUPS / group.relative_to("/") for group in (own, *own.parents)]
    return [left for group in groups if (left := _left(group)) is not None]


def _left(group: Path) -> int | None:
    """Bytes left below a group's limit; None where it has no limit, or its files cannot be read."""
    try:
        limit = int((group / "memory.max").read_text(encoding="utf-8"))
        used = int((group / "memory.current").read_text(encoding="utf-8"))
        counted = dict(line.split() for line in (group / "memory.stat").read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError):
        return None
    # the system frees inactive pages of files before it refuses memory to a process
    return max(0, limit - used + int(counted.get("inactive_file", 0)))
