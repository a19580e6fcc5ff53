"""A few kills and stops at random; `python -m benchmarks.kills` does two hundred."""

import pytest

from benchmarks.kills import CASES, kills, namespaces


def test_processes_that_are_killed_and_stopped_publish_each_case_once(tmp_path):
    if namespaces() is None:
        pytest.skip("this machine allows no tables of processes (unshare --pid), which tell two machines apart here")
    found = kills(tmp_path, 8, 0.6, seed=1)
    assert found.wrong == []
    assert found.kills and found.stops and found.published >= CASES
