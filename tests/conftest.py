"""Fixtures shared by all tests."""

import os
import signal
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> None:
    """Ctrl-C means what it means in a terminal; a shell that starts the tests in the background lets it be ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of the real data sets; the test is skipped where they are not at hand."""
    folder = Path(os.environ.get("AUTOSEG_TEST_DATA", Path(__file__).parents[1].parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data sets are not at {folder}; set AUTOSEG_TEST_DATA to their folder")
    return folder
