"""Keeps the warnings of pydicom from being printed while DICOM is read, in any number of threads.

pydicom, and highdicom which is built on it, warn of each value that departs from the standard; those that matter are
judged by the readers here. `warnings.catch_warnings` puts the list of filters back as it was, so that threads undo each
other's; here one filter is added by the first thread and removed by the last.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock


@dataclass
class _Readers:
    """Threads that read DICOM now, and the filter that stands for them."""

    lock: Lock = field(default_factory=Lock)
    count: int = 0
    entry: object = None


_READERS = _Readers()


@contextmanager
def without_warnings_of_pydicom() -> Iterator[None]:
    """Let the warnings of pydicom and highdicom do nothing within the block; all others are as they were."""
    with _READERS.lock:
        _READERS.count += 1
        if _READERS.count == 1:
            warnings.filterwarnings("ignore", module=r"(pydicom|highdicom)\b")
            _READERS.entry = warnings.filters[0]
    try:
        yield
    finally:
        with _READERS.lock:
            _READERS.count -= 1
            if _READERS.count == 0:
                # whoever resets the filters meanwhile removes it too
                with suppress(ValueError):
                    warnings.filters.remove(_READERS.entry)  # type: ignore[attr-defined]
