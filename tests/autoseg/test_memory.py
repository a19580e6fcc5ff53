"""Memory that a container leaves, from files as control groups write them."""

from pathlib import Path

import psutil
import pytest

from autoseg.memory import free_memory, total_memory

GIB = 2**30


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A group `job/step` of a machine with 100 GiB free."""
    own = tmp_path / "own"
    own.write_text("0::/job/step\n", encoding="utf-8")
    (tmp_path / "job" / "step").mkdir(parents=True)
    monkeypatch.setattr("autoseg.memory.GROUPS", tmp_path)
    monkeypatch.setattr("autoseg.memory.OWN_GROUP", own)
    free = psutil.virtual_memory()._replace(available=100 * GIB, total=120 * GIB)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    swap = psutil.swap_memory()._replace(total=4 * GIB)
    monkeypatch.setattr("psutil.swap_memory", lambda: swap)
    return tmp_path


def limit(group: Path, most: str, used: int, cached: int) -> None:
    (group / "memory.max").write_text(f"{most}\n", encoding="utf-8")
    (group / "memory.current").write_text(f"{used}\n", encoding="utf-8")
    (group / "memory.stat").write_text(f"anon {used - cached}\ninactive_file {cached}\n", encoding="utf-8")


def test_without_limits_it_is_the_machines(groups: Path) -> None:
    assert free_memory() == 100 * GIB
    limit(groups / "job" / "step", "max", GIB, 0)
    assert free_memory() == 100 * GIB


def test_the_tightest_group_counts_and_pages_of_files_are_free(groups: Path) -> None:
    limit(groups / "job" / "step", str(16 * GIB), 5 * GIB, 2 * GIB)
    assert free_memory() == 13 * GIB
    limit(groups / "job", str(20 * GIB), 12 * GIB, 0)
    assert free_memory() == 8 * GIB


def test_a_system_without_groups_has_no_limit(groups: Path) -> None:
    (groups / "own").unlink()
    assert free_memory() == 100 * GIB


def test_all_the_memory_that_a_process_can_have_is_the_machines_or_its_tightest_groups(groups: Path) -> None:
    assert total_memory() == 124 * GIB
    limit(groups / "job" / "step", "max", GIB, 0)
    limit(groups / "job", str(20 * GIB), 12 * GIB, 0)
    assert total_memory() == 20 * GIB
