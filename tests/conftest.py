"""What all tests have in common: fixtures, one thread, and which tests one process runs together."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Read where torch is imported, here and in the processes that tests start. Networks as small as those of tests gain
# nothing from a second thread, and lose much: threads that wait for each other keep their cores from other programs.
# Tests that are about threads set their number themselves, and then a thread that waits sleeps.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

LONGEST = "end_to_end/"
"""Tests that take longest begin first, so that no process is left with them in the end."""

TOGETHER = (
    # of the run on hippocampus40
    ("end_to_end/test_hippocampus.py", "end_to_end/test_orientation.py"),
    # of the fingerprints of the real data sets
    tuple(f"planner/additions/test_{name}.py" for name in ("lesion_classes", "lesion_loss", "region")),
)
"""Files whose tests look at one thing that takes long to make: the same process runs them, and makes it once."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST not in item.nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Several processes share the files out; those of `TOGETHER` count as one."""
    from xdist.scheduler import LoadFileScheduling

    class SomeTogether(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return next((" ".join(files) for files in TOGETHER if file.endswith(files)), file)

    return SomeTogether(config, log)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> None:
    """Ctrl-C means what it means in a terminal; a shell that starts the tests in the background lets it be ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def answers_to_signals(ctrl_c: None) -> dict[int, Any]:
    """The answers to signals before any command was carried out."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    return {number: signal.getsignal(number) for number in numbers}


@pytest.fixture(autouse=True)
def signals_as_before(answers_to_signals: dict[int, Any]) -> Iterator[None]:
    """A command that a test, or a fixture of several, carries out in this process leaves its answers to signals."""

    def restore() -> None:
        for number, answer in answers_to_signals.items():
            signal.signal(number, answer)

    restore()
    yield
    restore()


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of the real data sets; the test is skipped where they are not at hand."""
    folder = Path(os.environ.get("AUTOSEG_TEST_DATA", Path(__file__).parents[1].parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data sets are not at {folder}; set AUTOSEG_TEST_DATA to their folder")
    return folder
