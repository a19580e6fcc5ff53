"""Processes that die are named with their item; errors arrive; nothing outlives its parent."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from autoseg.errors import DatasetError, WorkerDied
from autoseg.machine.map_cases import map_cases
from autoseg.machine.worker_pool import cause_of_end, completed


def square(number: int) -> int:
    return number * number


def die_once(number: int, folder: Path) -> int:
    """On item 2 the process kills itself, the first time; on item 3 always."""
    marker = folder / f"tried_{number}"
    if number == 3 or (number == 2 and not marker.exists()):
        with marker.open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def leave(_: int) -> None:
    os._exit(7)


def fail(number: int) -> int:
    if number == 1:
        raise DatasetError(["case_1: first", "case_1: second"])
    if number == 2:
        raise ValueError("not for users")
    return number


class Unsendable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def fail_unsendably(_: int) -> None:
    raise Unsendable(1, 2)


def blas_threads(_: int) -> int:
    from threadpoolctl import threadpool_info

    np.ones((4, 4)) @ np.ones((4, 4))
    return max(library["num_threads"] for library in threadpool_info())


def name(number: int) -> str:
    return f"case_{number}"


def test_results_come_in_the_items_order() -> None:
    assert map_cases(square, range(7), 2, "squares") == [n * n for n in range(7)]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_process_that_dies_is_named_and_its_item_tried_once_more(tmp_path: Path) -> None:
    told: list[str] = []
    done = completed(partial(die_once, folder=tmp_path), [0, 1, 2, 4, 5], 2, name=name, tell=told.append)
    assert sorted(done) == [(0, 0), (1, 1), (2, 2), (3, 4), (4, 5)]
    assert len(told) == 1
    assert told[0].startswith("case_2: its process was ended by SIGKILL, which the system does when memory runs out")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_item_that_kills_twice_is_an_error_after_the_others_are_done(tmp_path: Path) -> None:
    results: list[tuple[int, int]] = []
    with pytest.raises(WorkerDied, match=r"case_3: its process was ended by SIGKILL.* once more alone"):
        for result in completed(partial(die_once, folder=tmp_path), [3, 0, 1], 2, name=name, tell=lambda _: None):
            results.append(result)
    assert sorted(results) == [(1, 0), (2, 1)]
    assert (tmp_path / "tried_3").read_text(encoding="utf-8") == "xx"


def test_the_status_of_a_process_that_left_is_told() -> None:
    with pytest.raises(WorkerDied, match="case_0: its process ended by itself with status 7"):
        list(completed(leave, [0, 1], 2, name=name, tell=lambda _: None))


def test_an_error_for_users_arrives_as_it_was() -> None:
    with pytest.raises(DatasetError) as caught:
        map_cases(fail, [0, 1], 2, "failing")
    assert caught.value.problems == ("case_1: first", "case_1: second")
    assert str(caught.value) == "case_1: first\ncase_1: second"


def test_any_other_error_arrives_with_the_workers_traceback() -> None:
    with pytest.raises(ValueError, match="not for users") as caught:
        map_cases(fail, [0, 2], 2, "failing")
    assert "in fail" in caught.value.__notes__[0]


def test_an_error_that_cannot_travel_arrives_as_text() -> None:
    with pytest.raises(RuntimeError, match="Unsendable: 1 and 2"):
        map_cases(fail_unsendably, [0, 1], 2, "failing")


def test_workers_compute_with_one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert map_cases(blas_threads, [0, 1], 2, "threads") == [1, 1]


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "waiting.py").write_text(
        textwrap.dedent("""
        import os, time

        def wait(folder):
            (folder / str(os.getpid())).touch()
            time.sleep(900)
        """)
    )
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent("""
        from pathlib import Path
        from autoseg.machine.map_cases import map_cases
        from waiting import wait

        map_cases(wait, [Path(__file__).parent / "pids"] * 2, 2, "waiting")
        """)
    )
    pids = tmp_path / "pids"
    pids.mkdir()
    parent = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 300
    while len(list(pids.iterdir())) < 2:
        assert time.monotonic() < give_up and parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    workers = [int(path.name) for path in pids.iterdir()]
    while any(map(psutil.pid_exists, workers)):
        assert time.monotonic() < give_up, "a worker outlived its parent"
        time.sleep(0.05)


def test_a_script_without_a_main_guard_runs_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"print('begun')\nimport autoseg\nautoseg.phantom({str(tmp_path / 'data')!r}, cases=2, workers=2)\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("begun") == 1
    assert (tmp_path / "data" / "cases.csv").exists()


@pytest.mark.parametrize(
    ("exit_code", "named", "not_named"),
    [
        (1, "status 1; what it printed before tells why", "memory"),
        (-9, "SIGKILL, which the system does when memory runs out", "status"),
        (-11, "SIGSEGV", "memory"),
        (-7, "/dev/shm", "memory"),
        (-99, "signal 99", "memory"),
    ],
)
def test_memory_is_blamed_only_where_the_system_killed_the_process(exit_code: int, named: str, not_named: str) -> None:
    cause = cause_of_end(exit_code)
    assert named in cause
    assert not_named not in cause
