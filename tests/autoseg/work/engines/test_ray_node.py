"""A look at a node, and a unit as a process of it; what Ray itself does is in tests/end_to_end/test_ray.py."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from autoseg.version import VERSION
from autoseg.work.engines import ray_node
from autoseg.work.engines.ray_node import differences, do_unit, environment_here, look


@pytest.fixture
def run(tmp_path) -> Path:
    (tmp_path / "run" / "work").mkdir(parents=True)
    (tmp_path / "run" / "work" / "file").write_text("content", encoding="utf-8")
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def soon(monkeypatch) -> None:
    monkeypatch.setattr(ray_node, "SECONDS_FOR_A_FILE", 0.3)


def test_a_node_with_the_same_folder_reads_and_writes(run) -> None:
    found = look(str(run), "file", "content", "7f")
    assert found["folder"] == "" and found["autoseg"] == VERSION and found["Python"] == sys.version.split()[0]
    assert (run / "work" / "file.7f").read_text(encoding="utf-8") == "7f"
    assert differences(environment_here(), found) == ""


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda run: (run / "work" / "file").write_text("other", encoding="utf-8"), "has other content there"),
        (lambda run: (run / "work" / "file").unlink(), "is another folder there"),
        (lambda run: run.rename(run.with_name("elsewhere")), "there is no folder"),
    ],
)
def test_a_node_with_another_folder_says_so(run, spoil, told) -> None:
    spoil(run)
    assert (
        told in look(str(run), "file", "content", "7f")["folder"]
        and str(run) in look(str(run), "file", "", "")["folder"]
    )


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere, and Windows differs")
def test_a_node_that_may_not_write_says_so(run) -> None:
    (run / "work").chmod(0o500)
    assert "Permission denied" in look(str(run), "file", "content", "7f")["folder"]


def test_versions_that_differ_are_told() -> None:
    wanted = environment_here()
    here = wanted | {"torch": "1.0", "SimpleITK": ""}
    assert differences(wanted, here) == (
        f"torch 1.0 instead of {wanted['torch']}, SimpleITK none instead of {wanted['SimpleITK']}"
    )


def test_a_unit_on_a_node_that_differs_is_not_begun(tmp_path) -> None:
    ended = do_unit(["--version"], str(tmp_path / "log"), environment_here() | {"autoseg": "9.9"})
    assert ended.status is None and f"autoseg {VERSION} instead of 9.9" in ended.why
    assert not (tmp_path / "log").exists()


def test_a_unit_ends_with_the_status_of_its_process_and_its_last_line(tmp_path) -> None:
    log = tmp_path / "logs" / "unit.log"
    ended = do_unit(["work", str(tmp_path / "none"), "plan"], str(log), environment_here())
    assert ended.status == 2 and ended.log == str(log) and str(tmp_path / "none") in ended.why.replace("\n", "")
    assert ended.why in log.read_text(encoding="utf-8") and ended.where


def test_a_cancelled_unit_lets_its_process_end(tmp_path, monkeypatch) -> None:
    """Ray cancels a task by a KeyboardInterrupt."""
    program = "import sys; print('begun', flush=True); sys.stdin.read(); print('saved', flush=True); sys.exit(75)"
    monkeypatch.setattr(ray_node, "LEASHED", ("-c", program))
    log = tmp_path / "log"
    main = threading.main_thread().ident

    def interrupt() -> None:
        while not log.exists() or log.read_text(encoding="utf-8") != "begun\n":
            time.sleep(0.02)
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        do_unit([], str(log), environment_here())
    assert log.read_text(encoding="utf-8") == "begun\nsaved\n"


def test_ray_variables_do_not_reach_the_process(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    monkeypatch.setattr(ray_node, "LEASHED", ("-c", "import os; print(sorted(n for n in os.environ if 'RAY' in n))"))
    assert do_unit([], str(tmp_path / "log"), environment_here()).status == 0
    assert (tmp_path / "log").read_text(encoding="utf-8").strip() == "[]"
