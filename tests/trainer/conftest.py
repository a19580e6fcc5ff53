"""What every test of training has at hand: the tiny run, threads that stay, and few pictures."""

from collections.abc import Callable
from pathlib import Path

import pytest

from autoseg.machine.threads import Threads
from autoseg.plan.configuration import Training
from autoseg.run_folder.paths import RunFolder
from tests.trainer.tiny_run import make_run, make_training
from tests.trainer.turned_clock import Hands


@pytest.fixture(autouse=True)
def threads_stay(monkeypatch) -> None:
    """Bits depend on threads, and threads on what else this machine does while it tests."""
    monkeypatch.setattr(Threads, "choose", lambda self: self.count)


@pytest.fixture(autouse=True)
def few_pictures(request: pytest.FixtureRequest, monkeypatch) -> None:
    """No picture of the losses is drawn, which takes as long as a tiny fold, but where a test asks for `drawn`."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr("trainer.progress_log._draw", lambda *_: None)


@pytest.fixture
def drawn() -> None:
    """The picture of the losses is drawn."""


@pytest.fixture
def training() -> Callable[..., Training]:
    return make_training


@pytest.fixture
def tiny_run(tmp_path: Path) -> Callable[..., RunFolder]:
    """Function that makes a RUN with one fold; keyword arguments change its training settings."""
    return lambda where="run", **changes: make_run(tmp_path / where, make_training(**changes))


@pytest.fixture
def hands(monkeypatch) -> Hands:
    return Hands(monkeypatch)
