"""Names that tell which process writes something, and the removal of what a process left that ended meanwhile."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from autoseg.disk.this_process import start_of, this_machine

_LEFTOVER = re.compile(r"\.(\d+)\.([0-9a-f]{8})\.[0-9a-f]{8}\..")
SECONDS_OF_LEFTOVERS = 24 * 3600.0
"""What a process of another machine began to write counts as left behind after this time, by the clock of its disk."""

PASSING_NAME = "autoseg"
"""End of the names of temporary files and folders that the next command removes where their process was killed."""


def passing_name(name: str) -> str:
    """Return a hidden name that is not in use and tells this process and this machine; it ends in `name`."""
    return f".{os.getpid()}.{this_machine()}.{secrets.token_hex(4)}.{name}"


@contextmanager
def passing_folder() -> Iterator[Path]:
    """Give the block a folder in the system's folder for temporary files, which is removed afterwards.

    Only this user can enter it. What a killed process left is removed by `sweep_passing_files`.
    """
    folder = Path(tempfile.gettempdir()) / passing_name(PASSING_NAME)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def hidden_name(folder: Path, name: str) -> Path:
    """Return a hidden path in a folder that is not in use, which tells the process and the machine that made it."""
    return folder / passing_name(name)


def sweep(folder: Path) -> None:
    """Remove what processes left behind that ended while they wrote: hidden entries with the number of a dead process.

    What another machine wrote stays for a day, since its processes cannot be seen from here.

    Args:
        folder: folder that is searched with all folders in it; links are not followed.
    """
    for where, folders, files in os.walk(folder):
        _remove_leftovers(Path(where), (*folders, *files))


@cache
def sweep_once(folder: Path) -> None:
    """As `sweep`, of the folder itself alone, and once in a process: listing it again and again would take long.

    Args:
        folder: absolute path of the folder; one that cannot be listed is left.
    """
    with suppress(OSError):
        _remove_leftovers(folder, [entry.name for entry in folder.iterdir()])


def _remove_leftovers(folder: Path, names: Sequence[str]) -> None:
    # a RUN folder of ten thousand cases has eighty thousand entries, and hardly one of them is hidden
    for name in (name for name in names if name.startswith(".")):
        entry = folder / name
        if not is_left_behind(entry, name):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            with suppress(OSError):
                entry.unlink()


def is_left_behind(entry: Path, name: str) -> bool:
    """Whether a file or folder has a name of `passing_name`, and its process has ended.

    Args:
        entry: path of the file or folder.
        name: its name, without what the system puts before it.
    """
    found = _LEFTOVER.match(name)
    if found is None:
        return False
    process, machine = int(found[1]), found[2]
    if machine == this_machine():
        return start_of(process) is None
    try:
        return _now_in(entry.parent) - entry.lstat().st_mtime > SECONDS_OF_LEFTOVERS
    except OSError:
        return False


def _now_in(folder: Path) -> float:
    """The present time by the clock that also dates the other files of a folder, which is not that of this machine."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime
