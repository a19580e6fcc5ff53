"""Temporary files and semaphores of worker processes, named so that the next command removes what kills left behind.

Workers hand tensors over through sockets in the system's folder for temporary files, and share semaphores that Linux
keeps in `/dev/shm`. `multiprocessing` removes both, unless all processes are killed at once.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from autoseg.disk.leftovers import PASSING_NAME, is_left_behind, passing_folder, passing_name

SHARED_MEMORY = Path("/dev/shm")
MORE_SHARED_MEMORY = "in Docker give the container more of it (--shm-size 8g), or use --workers 0"
"""What helps where the shared memory is full: Docker gives a container 64 MB."""

_LONGEST_SOCKET = 103
"""Bytes of a socket's path; macOS has the shortest limit."""

_BELOW = "/pymp-12345678/listener-12345678"
"""What `multiprocessing` adds to the path of the folder."""


@contextmanager
def folder_of_workers() -> Iterator[Path | None]:
    """Give the block a folder for the temporary files of its workers, which is removed afterwards.

    It is None where its path would be too long for sockets in it: the workers then use the system's folder.
    """
    # names of this process have one length
    name = Path(tempfile.gettempdir()) / passing_name(PASSING_NAME)
    if len(os.fsencode(name)) + len(_BELOW) > _LONGEST_SOCKET:
        yield None
        return
    with passing_folder() as folder:
        yield folder


def keep_temporary_files_in(folder: Path) -> None:
    """Make a folder the one for temporary files in this worker."""
    tempfile.tempdir = str(folder)


@contextmanager
def named_semaphores() -> Iterator[None]:
    """Context manager in which the names of new semaphores tell this process."""
    try:
        from multiprocessing.synchronize import SemLock
    except ImportError:
        # a system without semaphores
        yield
        return
    # no public way leads to the names; joblib, which scikit-learn imports, sets its own in the same way
    before = vars(SemLock)["_make_name"]
    SemLock._make_name = staticmethod(lambda: f"/{passing_name(PASSING_NAME)}-")  # type: ignore[attr-defined]
    try:
        yield
    finally:
        SemLock._make_name = before  # type: ignore[attr-defined]


def sweep_passing_files() -> None:
    """Remove temporary files and semaphores of workers whose parent is no more."""
    for folder in Path(tempfile.gettempdir()).glob(f".*.{PASSING_NAME}"):
        if not folder.is_symlink() and is_left_behind(folder, folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    for semaphore in SHARED_MEMORY.glob(f"sem..*.{PASSING_NAME}-*"):
        if is_left_behind(semaphore, semaphore.name.removeprefix("sem.")):
            with suppress(OSError):
                semaphore.unlink()
