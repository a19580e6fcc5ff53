"""What holds for every interpreter that is started beside this one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_SAFE_PATH = "PYTHONSAFEPATH"


@contextmanager
def current_folder_left_out() -> Iterator[None]:
    """Interpreters that the block starts do not look for modules in the current folder.

    A spawned process searches it first, before it gets the search path of its parent. Who works inside the RUN folder
    of a stranger would run a `pickle.py` that lies there.
    """
    former = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        if former is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = former
