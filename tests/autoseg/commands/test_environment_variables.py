import os
import subprocess
import sys

import pytest

from autoseg.commands.environment_variables import repair_thread_counts


@pytest.mark.parametrize(
    ("value", "kept"), [("4", "4"), (" 2 ", "2"), ("4,3", "4"), ("abc", None), ("", None), ("-1", None)]
)
def test_a_number_of_threads_is_kept_and_anything_else_is_told(value, kept):
    variables = {"OMP_NUM_THREADS": value, "OTHER": "x"}
    told = repair_thread_counts(variables)
    assert variables.get("OMP_NUM_THREADS") == kept and variables["OTHER"] == "x"
    assert bool(told) is (kept is None)


@pytest.mark.parametrize(
    "variables",
    [
        {"OMP_NUM_THREADS": "abc"},
        {"COLUMNS": "abc"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
    ],
    ids=str,
)
def test_a_command_runs_in_any_environment(tmp_path, variables):
    done = subprocess.run(
        [sys.executable, "-m", "autoseg", "phantom", "-o", str(tmp_path / "data"), "--cases", "1"],
        env={**os.environ, **variables},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr and b"cases.csv" in done.stdout
