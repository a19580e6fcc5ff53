"""Errors of a file system that pass are waited for; all others are told at once, with the file."""

import errno
import os
from pathlib import Path

import pytest

from autoseg.disk import transient
from autoseg.files import folder_replaced_when_done, read_utf8, write_text


def failing(monkeypatch, owner: object, name: str, number: int, times: int) -> list[int]:
    """Let a function of the operating system fail so many times before it works; returns a list of its calls."""
    real, calls = getattr(owner, name), []

    def fail(*args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) <= times:
            raise OSError(number, os.strerror(number), str(args[0]))
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, fail)
    return calls


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EBUSY, errno.EAGAIN])
@pytest.mark.parametrize("call", ["replace", "fsync", "mkdir"])
def test_what_passes_is_tried_again(tmp_path: Path, monkeypatch, call: str, number: int) -> None:
    owner = Path if call in ("replace", "mkdir") else os
    calls = failing(monkeypatch, owner, call, number, times=2)
    write_text(tmp_path / "file", "written")
    with folder_replaced_when_done(tmp_path / "folder") as folder:
        (folder / "file").write_text("written")
    assert len(calls) > 2
    assert {path.name for path in tmp_path.rglob("*")} == {"file", "folder"}
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "file").read_text() == "written"


def test_reading_is_tried_again(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("written")
    failing(monkeypatch, Path, "read_bytes", errno.ESTALE, times=3)
    assert read_utf8(tmp_path / "file") == b"written"


def test_what_does_not_pass_ends_in_bounded_time(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(transient, "SECONDS_OF_TRYING", 0.2)
    calls = failing(monkeypatch, Path, "replace", errno.EBUSY, times=10**9)
    with pytest.raises(OSError, match="busy"):
        write_text(tmp_path / "file", "written")
    assert len(calls) > 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_broken_disk_is_told_at_once_with_the_file(tmp_path: Path, monkeypatch, call: str) -> None:
    (tmp_path / "file").write_text("before")
    calls = failing(monkeypatch, Path if call == "replace" else os, call, errno.EIO, times=10**9)
    with pytest.raises(OSError, match="Input/output error") as told:
        write_text(tmp_path / "file", "after")
    assert "file" in str(told.value.filename)
    assert len(calls) == 1
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_a_file_system_that_cannot_sync_is_written_to_all_the_same(tmp_path: Path, monkeypatch) -> None:
    failing(monkeypatch, os, "fsync", errno.EINVAL, times=10**9)
    write_text(tmp_path / "file", "written")
    assert (tmp_path / "file").read_text() == "written"
