"""Too little memory is told as such, with the stage, and never as a traceback."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from autoseg.commands.cli import status_of
from autoseg.dataset.case import Case
from autoseg.errors import NotEnoughMemory
from autoseg.machine.map_cases import map_cases
from autoseg.memory import free_memory, lacks_memory
from tests.autoseg.dataset import build
from tests.words import on_one_line

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), resource.getrlimit(resource.RLIMIT_AS)[1]))
from autoseg.commands.cli import status_of
sys.exit(status_of(sys.argv[2:]))
"""


@pytest.mark.parametrize("limit", [500_000_000, 1_100_000_000, 1_300_000_000])
def test_a_process_that_may_not_have_more(tmp_path: Path, limit: int) -> None:
    folder = build.nnunet(tmp_path / "data")
    arguments = ["plan-and-preprocess", str(folder), "-o", str(tmp_path / "run"), "--device", "cpu", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert "not enough memory" in on_one_line(done.stderr)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("std::bad_alloc"), OSError(12, "Cannot allocate memory")], ids=repr
)
def test_a_command_that_runs_out_of_memory(tmp_path, monkeypatch, capfd, error) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("autoseg.dataset.read.read_dataset", fail)
    arguments = ["plan-and-preprocess", str(build.nnunet(tmp_path / "data")), "-o", str(tmp_path / "run")]
    assert status_of([*arguments, "--device", "cpu"]) == 2
    shown = on_one_line(capfd.readouterr().err)
    assert "plan-and-preprocess: there is not enough memory" in shown and "Traceback" not in shown


def of_ten_terabytes(case: Case) -> float:
    return float(np.ones(10 * 10**12).sum())


@pytest.mark.parametrize(("workers", "small"), [(1, False), (2, True), (2, False)])
def test_a_case_that_takes_too_much(workers: int, small: bool) -> None:
    cases = [Case("one", (None,)), Case("two", (None,))]
    with pytest.raises(NotEnoughMemory, match=r"(one|two): there is not enough memory \(Checking\)"):
        map_cases(of_ten_terabytes, cases, workers, "Checking", name=lambda case: case.name, small=small)


def test_other_errors_are_none_of_memory() -> None:
    assert not any(
        map(lacks_memory, [RuntimeError("shape mismatch"), OSError(28, "No space"), ValueError("bad_alloc")])
    )


def test_the_limit_of_the_process_counts() -> None:
    code = (
        "import resource, psutil, sys; from autoseg.memory import free_memory\n"
        "most = resource.getrlimit(resource.RLIMIT_AS)[1]\n"
        "resource.setrlimit(resource.RLIMIT_AS, (10**9, most)); print(free_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 10**9
    assert free_memory() > 0
