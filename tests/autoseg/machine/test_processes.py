"""Workers from odd places: daemons, machines without semaphores or further processes, a stranger's folder."""

import errno
import multiprocessing
import os
import subprocess
import sys
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

import autoseg
from autoseg.errors import AutosegError
from autoseg.machine.map_cases import map_cases
from autoseg.machine.processes import WORKERS, can_start_workers, start


def names_of_main(_: int) -> tuple[str, bool]:
    """The process, and whether it has imported the script of its parent."""
    return multiprocessing.current_process().name, hasattr(sys.modules["__main__"], "__file__")


def as_a_daemon(answers) -> None:
    answers.put((can_start_workers(), map_cases(names_of_main, [0, 1], 2, "working")))


def test_workers_do_not_import_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    # a process of pytest-xdist has no script
    monkeypatch.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)
    found = map_cases(names_of_main, [0, 1], 2, "working")
    assert [imported for _, imported in found] == [False, False]
    assert all(name != multiprocessing.current_process().name for name, _ in found)
    assert hasattr(sys.modules["__main__"], "__file__")


def test_a_daemon_does_the_work_itself() -> None:
    answers = multiprocessing.get_context("spawn").SimpleQueue()
    daemon = multiprocessing.get_context("spawn").Process(target=as_a_daemon, args=(answers,), daemon=True)
    daemon.start()
    possible, found = answers.get()
    daemon.join()
    assert not possible
    assert [name for name, _ in found] == [daemon.name] * 2


def test_without_semaphores_there_are_pipes_and_no_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_start_workers(with_queues=True)

    def missing() -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/dev/shm")

    monkeypatch.setattr(WORKERS, "Lock", missing)
    assert can_start_workers()
    assert not can_start_workers(with_queues=True)


def test_a_system_without_further_processes_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(SpawnProcess, "_Popen", refuse)
    with pytest.raises(AutosegError, match=r"no further process .*ulimit -u"):
        start(WORKERS.Process(target=print))


PROGRAM = """
from autoseg.machine.worker_pool import completed

if __name__ == "__main__":
    print(list(completed(abs, [-1, -2], 2, name=str, tell=print)))
"""


def test_a_worker_runs_no_module_of_the_current_folder(tmp_path):
    folder, program = tmp_path / "run", tmp_path / "program.py"
    folder.mkdir()
    program.write_text(PROGRAM, encoding="utf-8")
    for name in ("pickle", "signal", "socket", "struct", "numpy"):
        (folder / f"{name}.py").write_text("open('ran', 'w').close()\nraise SystemExit(3)\n", encoding="utf-8")
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    variables["PYTHONPATH"] = str(Path(autoseg.__file__).parents[1])
    done = subprocess.run([sys.executable, program], cwd=folder, env=variables, capture_output=True, text=True)
    assert sorted(done.stdout.split("), (")) and "(0, 1)" in done.stdout and "(1, 2)" in done.stdout, done.stderr
    assert not (folder / "ran").exists()
