"""Handle Ctrl-C, SIGTERM and SIGHUP during training: the step is finished and saved before training stops."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from autoseg.errors import Stopped
from autoseg.machine.stop_answer import may_come_from_a_stop
from autoseg.machine.stop_signals import stop_signals

GOES_ON = "Stopped; what is finished is kept, and the same command goes on."


class TrainingStopped(Stopped):
    """The user asked training to stop; its present state is saved.

    Args:
        message: message that tells where training stopped and how to continue it.
        number: number of the signal that asked for the stop.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_status = 128 + number


class StopRequest:
    """Context manager in which signals that ask for a stop set `number` and do not end the process.

    These are Ctrl-C, SIGTERM, and SIGHUP of a closed terminal, but where it is ignored, as under `nohup`. A second
    signal ends the process at once. Outside the main thread signals are not handled.

    An error that leaves the block after the signal counts as the stop if it may come from it: a scheduler also ends the
    processes that prepare batches.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, signal.Handlers] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, *stop_signals()):
                self._before[number] = signal.getsignal(number)  # type: ignore[assignment]
                signal.signal(number, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.number is not None and isinstance(error, Exception) and may_come_from_a_stop(error):
            raise TrainingStopped(GOES_ON, self.number) from error

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        # a closed terminal sends SIGHUP twice: the shell does, and then the system
        again = signal.SIG_IGN if number == getattr(signal, "SIGHUP", None) else self._before[number]
        signal.signal(number, again)
