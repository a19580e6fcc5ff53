"""Interpreters that are started in a stranger's folder."""

import os
import subprocess
import sys
from pathlib import Path

import autoseg

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
