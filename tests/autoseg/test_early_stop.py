"""Ctrl-C while modules are imported: one sentence and exit status 130, as later."""

import signal
import subprocess
import sys

import pytest

STOPPED_AT_AN_IMPORT = """
import os, runpy, signal, sys

class Stop:
    def find_spec(name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.{before})
sys.meta_path.insert(0, Stop)
sys.argv = ["autoseg", *{arguments!r}]
runpy.run_module("autoseg", run_name="__main__", alter_sys=True)
"""


def stopped_at(module: str, *arguments: str, before: str = "default_int_handler") -> subprocess.CompletedProcess[str]:
    script = STOPPED_AT_AN_IMPORT.format(module=module, arguments=arguments, before=before)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", timeout=120)


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("cyclopts", ("predict", "run", "-i", "images", "-o", "out")),
        ("autoseg.commands.fold_loop", ("predict", "run", "-i", "images", "-o", "out")),
        ("autoseg.commands.table", ("table", "images", "-o", "cases.csv")),
        ("inference.evaluation.evaluate", ("evaluate", "--reference", "a", "--prediction", "b", "-o", "out")),
    ],
)
def test_a_stop_at_an_import_is_one_sentence(tmp_path, module, arguments) -> None:
    ended = stopped_at(module, *(str(tmp_path / one) if one in "ab" else one for one in arguments))
    assert ended.returncode == 128 + signal.SIGINT
    assert ended.stderr.startswith("Stopped. ") and len(ended.stderr.splitlines()) == 1 and not ended.stdout


def test_ctrl_c_stays_ignored_where_it_was(tmp_path) -> None:
    ended = stopped_at("cyclopts", "evaluate", "--help", before="SIG_IGN")
    assert ended.returncode == 0 and "--reference" in ended.stdout
