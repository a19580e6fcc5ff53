"""Memory that processes may still take: of the machine, or of the container or batch job that they run in."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import psutil

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")


def free_memory() -> int:
    """Bytes that are free; where control groups (version 2) limit this process, no more than they leave."""
    return min([psutil.virtual_memory().available, *_left_by_groups()])


def _left_by_groups() -> list[int]:
    """What is left below the limit of this process's group and of each group around it that has one."""
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
    """Bytes below a group's limit; None where it has none, or does not tell."""
    try:
        limit = int((group / "memory.max").read_text(encoding="utf-8"))
        used = int((group / "memory.current").read_text(encoding="utf-8"))
        counted = dict(line.split() for line in (group / "memory.stat").read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError):
        return None
    # pages of files that nobody needs are given back before anything is refused
    return max(0, limit - used + int(counted.get("inactive_file", 0)))
