"""What every public function does beside its own work."""

import pytest

from autoseg.commands.command import command
from autoseg.errors import ImageError
from autoseg.machine.stop_answer import StopAsked, stop_stays_a_stop


@command
def work(*, is_stopped: bool) -> None:
    """Fail, also after a stop of its own."""
    with stop_stays_a_stop():
        try:
            if is_stopped:
                raise KeyboardInterrupt
        finally:
            raise ImageError("a.nii.gz: damaged, copy it again")


def test_a_function_that_is_called_after_ctrl_c_raises_its_own_errors() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        with pytest.raises(ImageError, match="damaged"):
            work(is_stopped=False)
        with pytest.raises(StopAsked):
            work(is_stopped=True)
    with pytest.raises(StopAsked):
        work(is_stopped=True)
