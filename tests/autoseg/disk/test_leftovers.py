"""What processes left behind is removed: of this machine at once, of others after a day by the clock of the disk."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autoseg.disk import leftovers
from autoseg.disk.leftovers import hidden_name, sweep
from autoseg.disk.this_process import this_machine

HOUR = 3600.0


def left(folder: Path, hours: float, machine: str = "0" * 8) -> Path:
    """A folder that a process which has ended made some hours ago."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    path = folder / f".{ended.pid}.{machine}.0123abcd.case"
    path.mkdir()
    (path / "image").touch()
    now = (folder / ".now").stat().st_mtime
    os.utime(path, (now - hours * HOUR,) * 2)
    return path


@pytest.mark.parametrize("ahead", [0.0, -1e6, 1e6])
def test_no_clock_of_a_machine_decides_what_others_left(tmp_path: Path, monkeypatch, ahead: float) -> None:
    (tmp_path / ".now").touch()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead)
    new, old = left(tmp_path, 23), left(tmp_path, 25)
    own, at_work = left(tmp_path, 0, this_machine()), hidden_name(tmp_path, "case")
    at_work.touch()
    sweep(tmp_path)
    assert [path.exists() for path in (new, old, own, at_work)] == [True, False, False, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([new.name, at_work.name, ".now"])


def test_where_the_time_cannot_be_asked_nothing_is_removed(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / ".now").touch()
    old = left(tmp_path, 25)

    def refused(**_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(leftovers.tempfile, "TemporaryFile", refused)
    sweep(tmp_path)
    assert old.exists()
