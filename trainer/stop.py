"""Ctrl-C and SIGTERM while a fold trains: finish the step, save, say how to go on."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from autoseg.errors import AutosegError


class TrainingStopped(AutosegError):
    """The user asked training to stop; what was reached is saved."""

    exit_status = 130


class StopRequest:
    """Context in which Ctrl-C and SIGTERM set `requested` instead of ending the process.

    A second one ends it at once. Outside the main thread signals are left alone.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, signal.Handlers] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.getsignal(number)  # type: ignore[assignment]
                signal.signal(number, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        signal.signal(number, self._before[number])
