"""The examples in docstrings give what they say."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

from autoseg.plan.plan import write_plan
from autoseg.run_folder.paths import RunFolder
from tests.example_plan import example_plan, with_configuration

ROOT = Path(__file__).parents[1]
PACKAGES = ("autoseg", "planner", "trainer", "inference")
FILES = [file.relative_to(ROOT) for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
MODULES = [".".join(file.with_suffix("").parts) for file in FILES if ">>> " in (ROOT / file).read_text("utf-8")]


@pytest.fixture
def run_folder(tmp_path, monkeypatch) -> None:
    """The RUN folder that examples read from, in the current folder."""
    plan = with_configuration(example_plan(), spacing=(4.0, 1.0, 1.0), patch_size=(16, 32, 32))
    write_plan(RunFolder(tmp_path / "RUN").plan, plan, {"configurations.3d.spacing": "median of the cases"})
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(run_folder, name: str) -> None:
    results = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)
    assert results.attempted > 0
    assert results.failed == 0, "pytest shows above what was expected and what came"
