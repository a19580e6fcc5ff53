"""What a user installs: the wheel's contents, the pins, the version, the commands of the README."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import autoseg

ROOT = Path(__file__).parents[1]
PACKAGES = ("autoseg", "planner", "trainer", "inference")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUNTIME = [Requirement(text) for text in PROJECT["dependencies"]]
DEVELOPMENT = [Requirement(text) for text in PROJECT["optional-dependencies"]["dev"]]
DOCUMENTATION = [Requirement(text) for text in PROJECT["optional-dependencies"]["docs"]]


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {normal(name): Version(version) for name, version in found}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> list[str]:
    """Names in the wheel, built by the declared build backend from a copy without what builds left behind."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in (*PACKAGES, "tests", "benchmarks"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = f"import setuptools.build_meta as backend; backend.build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (file,) = out.glob("autoseg_framework-*.whl")
    return zipfile.ZipFile(file).namelist()


def test_wheel_holds_the_four_packages_and_nothing_else(wheel):
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_wheel_holds_every_module_template_and_the_licence(wheel):
    wanted = {
        file.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")
    }
    assert wanted and wanted <= set(wheel)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel)


def test_torch_is_a_range_without_2_9_and_pinned_for_make(pins):
    (torch,) = [r for r in RUNTIME if r.name == "torch"]
    assert not any(s.operator == "==" for s in torch.specifier)
    assert torch.specifier.contains("2.8.0") and torch.specifier.contains("2.10.0")
    assert not torch.specifier.contains("2.9.0") and not torch.specifier.contains("2.9.1")
    assert pins["torch"] == Version("2.13.0")


@pytest.mark.parametrize("requirement", RUNTIME + DEVELOPMENT + DOCUMENTATION, ids=lambda r: r.name)
def test_each_dependency_is_pinned_within_its_range(requirement, pins):
    assert normal(requirement.name) in pins
    assert requirement.specifier.contains(pins[normal(requirement.name)])


def test_version_is_the_same_everywhere():
    version = PROJECT["version"]
    assert autoseg.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_authors_and_keywords_are_those_to_cite():
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert [author["name"] for author in PROJECT["authors"]] == re.findall(r"(?m)^  - name: (.+)$", cited)
    assert PROJECT["keywords"] == re.findall(
        r"(?m)^  - ([^:\n]+)$", cited.partition("keywords:")[2].partition("\nref")[0]
    )


def test_type_checkers_of_users_read_our_types():
    assert all((ROOT / package / "py.typed").is_file() for package in PACKAGES)


def test_licence_is_apache_2():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text and len(text) > 11_000


HELP = "from autoseg.commands.cli import status_of; status_of(['--help'])"


@pytest.mark.parametrize("code", ["import autoseg", HELP])
def test_torch_is_not_imported_before_it_is_needed(code):
    check = "import sys; assert 'torch' not in sys.modules and 'SimpleITK' not in sys.modules, 'slow start'"
    subprocess.run([sys.executable, "-c", f"{code}; {check}"], cwd=ROOT, check=True, capture_output=True)


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def dry_run(*arguments):
    """What make would do from nothing, in a copy without a virtual environment."""
    environment = {name: value for name, value in os.environ.items() if name not in ("INDEX", "PYTHON", "MAKEFLAGS")}
    command = ["make", "--dry-run", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8", env=environment).stdout


@needs_make
@pytest.mark.parametrize(("target", "command"), [("demo", "autoseg demo"), ("test", "python -m pytest")])
def test_make_sets_up_everything_for_the_commands_of_the_readme(tmp_path, target, command):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    lines = dry_run("-C", str(tmp_path), target)
    steps = ["-m venv", "pip install -c constraints.txt -e '.[dev]'", f".venv/bin/{command}"]
    places = [lines.find(step) for step in steps]
    assert places == sorted(places) and places[0] >= 0
    assert "--index-url" not in lines
    assert f"make {target}" in (ROOT / "README.md").read_text(encoding="utf-8")


@needs_make
def test_make_takes_torch_from_another_index(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    url = "https://download.pytorch.org/whl/cpu"
    lines = dry_run("-C", str(tmp_path), "demo", f"INDEX={url}")
    assert re.search(rf"pip install .*--index-url {re.escape(url)} .*torch", lines)


def test_ci_runs_the_readmes_test_command():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    assert "set -euo pipefail" in text and "make lint" in text and "make test" in text


def test_every_public_function_is_documented_with_its_arguments():
    for name in autoseg.COMMANDS:
        assert "Args:" in getattr(autoseg, name).__doc__, name
        assert name in dir(autoseg)
    with pytest.raises(AttributeError, match="nonsense"):
        autoseg.nonsense  # noqa: B018
