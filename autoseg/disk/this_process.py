"""Which machine and process this is, and whether another process still lives.

A number of a process is given again after it ended. So a process is known by its number and the moment at which it
started, on one machine since it was switched on, and within one container.
"""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache
from pathlib import Path

import psutil


@cache
def this_machine() -> str:
    """Eight hexadecimal digits for this machine since it was started; process numbers are unique within them."""
    try:
        # unlike the time of the start, it does not move when the clock is set
        since = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # containers of one host name and machine count their processes each from 1
        container = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        since, container = f"{psutil.boot_time():.0f}", ""
    names = f"{platform.node()} {since} {container}"
    return hashlib.blake2b(names.encode(), digest_size=4).hexdigest()


def start_of(process: int) -> str | None:
    """The moment at which a process of this machine started, as a text of digits; None where it has ended.

    A process that was killed, and whose parent has not asked for its status yet, has ended.

    Args:
        process: number of the process.
    """
    if not Path("/proc/self/stat").exists():
        return _start_by_psutil(process)
    try:
        line = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # the name of the program stands in brackets, and may hold spaces and brackets
    fields = line.rpartition(")")[2].split()
    state, start = fields[0], fields[19]
    return None if state in "ZXx" else start


def _start_by_psutil(process: int) -> str | None:
    try:
        found = psutil.Process(process)
        return None if found.status() == psutil.STATUS_ZOMBIE else f"{found.create_time():.0f}"
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        # somebody else's process, which lives; its start cannot be seen
        return ""


def this_process() -> str:
    """Name the running process in a way that can be a part of a file name: machine, number, start."""
    return f"{this_machine()}.{os.getpid()}.{start_of(os.getpid())}"


def has_ended(name: str) -> bool | None:
    """Whether a process has ended; None for one of another machine, which cannot be seen from here.

    Args:
        name: process as `this_process` names it.
    """
    machine, number, start = name.split(".")
    if machine != this_machine():
        return None
    return start_of(int(number)) not in (start, "")
