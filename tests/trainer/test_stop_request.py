import errno
import os
import signal

import pytest

from autoseg.errors import TrainingDataError
from trainer.stop_request import StopRequest, TrainingStopped


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_exit_status_tells_the_signal(number: int, status: int) -> None:
    # under nohup the tests themselves would have SIGHUP ignored
    found = signal.signal(number, signal.default_int_handler)
    try:
        with StopRequest() as stop:
            assert stop.number is None
            os.kill(os.getpid(), number)
            assert stop.number == number
            # a closed terminal sends its signal twice; a second one of the others ends the process at once
            after = signal.SIG_IGN if number == signal.SIGHUP else signal.default_int_handler
            assert signal.getsignal(number) == after
    finally:
        signal.signal(number, found)
    assert TrainingStopped("Stopped", number).exit_status == status


@pytest.mark.parametrize(
    "error", [TrainingDataError("a worker ended"), ValueError(), ConnectionResetError(104, "reset")]
)
def test_an_error_that_may_come_from_the_stop_is_the_stop(error: Exception) -> None:
    with pytest.raises(type(error)), StopRequest():
        raise error
    with pytest.raises(TrainingStopped) as stopped, StopRequest():
        os.kill(os.getpid(), signal.SIGINT)
        raise error
    assert stopped.value.exit_status == 130 and stopped.value.__cause__ is error


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), TrainingStopped("saved", 2), KeyboardInterrupt()])
def test_what_has_to_be_told_of_a_stop_stays(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, StopRequest():
        os.kill(os.getpid(), signal.SIGINT)
        raise error
    assert raised.value is error


def test_under_nohup_a_closed_terminal_stops_nothing() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.number is None
    finally:
        signal.signal(signal.SIGHUP, before)
