"""Counts the time of stages that run side by side: their wall time once, and what each of them ran.

One process counts for all of them, so that no second is added twice to `time_spent.json`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from autoseg.machine import clock
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.time_spent import Passed, add_times
from autoseg.run_folder.timed_stage import Stage


class SharedTime:
    """Context manager that adds the time of the stages that run at present to `time_spent.json`.

    Args:
        run: RUN folder that holds `time_spent.json`.
        every: seconds between two writes, so that kill -9 loses no more than this.
    """

    def __init__(self, run: RunFolder, *, every: float = 3.0) -> None:
        self._run, self._every = run, every
        self._running: set[Stage] = set()
        self._counted_by_another = False
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._writer = threading.Thread(target=self._keep_writing, daemon=True, name="shared time")

    def __enter__(self) -> SharedTime:
        self._last = clock.now()
        self._writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._writer.join()
        with suppress(OSError):
            self.write_down()

    def begin(self, stage: Stage) -> None:
        """Count the time of a stage from now on."""
        self.write_down()
        self._running.add(stage)

    def end(self, stage: Stage) -> None:
        """Count the time of a stage no longer."""
        self.write_down()
        self._running.discard(stage)

    @contextmanager
    def counted_by_another(self) -> Iterator[None]:
        """Context manager in which another stage adds the wall time, such as an estimate that is `timed`."""
        self.write_down()
        self._counted_by_another = True
        try:
            yield
        finally:
            self.write_down()
            self._counted_by_another = False

    def write_down(self) -> None:
        """Add the time since the last call: its wall time is shared equally by the stages that run."""
        with self._lock:
            now = clock.now()
            passed, self._last = now - self._last, now
            if self._running:
                counted = 0.0 if self._counted_by_another else passed / len(self._running)
                add_times(self._run, dict.fromkeys(self._running, Passed(counted, passed - counted)))

    def _keep_writing(self) -> None:
        while not self._ended.wait(self._every):
            # on a full disk the stages themselves fail, with messages of their own
            with suppress(OSError):
                self.write_down()
