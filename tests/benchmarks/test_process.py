"""A measured command: its time, its memory, and how it ended."""

import sys
from pathlib import Path

import pytest

from benchmarks.process import CommandFailed, OutOfMemory, measure

MIB = 2**20


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_time_and_memory_are_those_of_the_command_and_what_it_starts(tmp_path: Path) -> None:
    held = "block = b'x' * (200 * 2**20); import time; time.sleep(3)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {held!r}], check=True)"
    took = measure(python(child), tmp_path / "log.txt")
    assert took.seconds >= 3
    assert 200 * MIB < took.peak_bytes < 400 * MIB


def test_a_command_that_fails_names_its_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "failed.txt"
    with pytest.raises(CommandFailed, match=r"status 3.*failed\.txt"):
        measure(python("print('said'); raise SystemExit(3)"), log)
    assert log.read_text().strip() == "said"


def test_a_command_is_ended_at_the_memory_that_it_may_take(tmp_path: Path) -> None:
    hungry = "import time; block = b'x' * (200 * 2**20); time.sleep(60)"
    with pytest.raises(OutOfMemory):
        measure(python(hungry), tmp_path / "log.txt", most_bytes=100 * MIB)


def test_variables_reach_the_command(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    measure(python("import os; print(os.environ['SAID'])"), log, environment={"SAID": "here"})
    assert log.read_text().strip() == "here"
