"""Temporary files of workers are gone after them, and after all processes were killed with the next command."""

import multiprocessing
import os
import signal
import tempfile
from pathlib import Path

import pytest

from autoseg.machine import passing_files
from autoseg.machine.passing_files import (
    folder_of_workers,
    keep_temporary_files_in,
    named_semaphores,
    sweep_passing_files,
)

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch) -> Path:
    """A short folder for temporary files, where sockets fit into."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def be_killed() -> None:
    with folder_of_workers() as folder:
        (folder / "listener").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def test_the_folder_is_gone_after_the_block(temporary: Path) -> None:
    with folder_of_workers() as folder:
        assert folder is not None and folder.parent == temporary and folder.stat().st_mode & 0o777 == 0o700
        keep_temporary_files_in(folder)
        with tempfile.NamedTemporaryFile(delete=False) as file:
            assert Path(file.name).parent == folder
        tempfile.tempdir = str(temporary)
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_swept_and_nothing_else(temporary: Path, monkeypatch) -> None:
    fork = multiprocessing.get_context("fork").Process(target=be_killed)
    fork.start()
    fork.join()
    left = list(temporary.iterdir())
    assert len(left) == 1 and fork.exitcode == -signal.SIGKILL
    shared = temporary / "shm"
    shared.mkdir()
    monkeypatch.setattr(passing_files, "SHARED_MEMORY", shared)
    (shared / f"sem.{left[0].name}-abcdefgh").touch()
    others = [
        shared / "sem.mp-abcdefgh",
        shared / f"sem..{os.getpid()}.{left[0].name.split('.')[2]}.01234567.autoseg-a",
    ]
    for other in others:
        other.touch()
    (temporary / "pymp-abcdefgh").mkdir()
    with folder_of_workers() as in_use:
        sweep_passing_files()
        assert sorted(temporary.iterdir()) == sorted([in_use, temporary / "pymp-abcdefgh", shared])
    assert sorted(shared.iterdir()) == sorted(others)


def test_a_path_too_long_for_sockets_is_not_taken(tmp_path: Path, monkeypatch) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 40)
    deep.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with folder_of_workers() as folder:
        assert folder is None and list(deep.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="semaphores are no files here")
def test_semaphores_are_named_after_their_process() -> None:
    # it gives semaphores names of its own
    import sklearn.model_selection  # noqa: F401

    def ours() -> set[str]:
        return {file.name for file in Path("/dev/shm").glob(f"sem..{os.getpid()}.*.autoseg-*")}

    with named_semaphores():
        queue = SPAWN.Queue()
        assert ours()
        sweep_passing_files()
        assert ours()
    del queue
    other = SPAWN.Lock()
    assert not ours() and other is not None
