"""`tests` mirrors the packages: each file of tests is named after the module that it tests."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
MIRRORED = ("autoseg", "planner", "trainer", "inference", "benchmarks")


def is_named_after_a_module(file: Path) -> bool:
    """Whether a file `tests/x/test_y….py` has its module `x/y.py`."""
    modules = (ROOT / file.parent.relative_to(ROOT / "tests")).glob("*.py")
    return any(f"{file.stem}_".startswith(f"test_{module.stem}_") for module in modules)


def test_every_file_of_tests_has_its_module() -> None:
    files = [file for package in MIRRORED for file in (ROOT / "tests" / package).rglob("test_*.py")]
    assert len(files) > 100
    assert [str(file) for file in files if not is_named_after_a_module(file)] == []
