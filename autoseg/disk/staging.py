"""The folder in which files are written before they are renamed to their place.

A process that holds a lock writes in a folder inside the lock. Whoever takes the lock over moves that folder away. So
a process that was stopped meanwhile finds at its rename that the folder is gone, and nothing of it reaches the place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

# A context variable and no argument, since each write below a lock is meant, also one that is added later.
_STAGING: ContextVar[Path | None] = ContextVar("staging", default=None)


def staging_folder() -> Path | None:
    """The folder in which the running block writes before it renames; None = beside the place itself."""
    return _STAGING.get()


@contextmanager
def staged_in(folder: Path | None) -> Iterator[None]:
    """Let everything that the block writes begin in a folder.

    Other threads and processes do not know of it; each of them enters a block of its own.

    Args:
        folder: folder that exists as long as this process may write; None = beside the place itself.
    """
    former = _STAGING.set(folder)
    try:
        yield
    finally:
        _STAGING.reset(former)
