"""What scheduling costs, of a few cases; `python -m benchmarks.scale` measures up to a hundred thousand."""

import json
import sys
import time
from functools import partial

import pytest

from benchmarks import scale
from benchmarks.scale_costs import together
from benchmarks.start_up_share import Call, found_in


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked")
def test_every_row_of_a_few_cases_is_measured_and_none_is_left_undone(tmp_path):
    scale.main([str(tmp_path / "scale"), "--cases", "4", "--workers", "2", "--json", str(tmp_path / "scale.json")])
    rows = json.loads((tmp_path / "scale.json").read_text())["rows"]
    told = {row["what"]: row for row in rows}
    assert len(told) == len(rows) == 14 and not [row for row in rows if row["seconds"] is None or row["done"]]
    assert {row["note"] for what, row in told.items() if what.startswith("claims of")} == {""}
    # folders are listed, and the mark of each case is opened
    assert told["states, prepared by hand"]["opened"] > 4
    assert list((tmp_path / "scale").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked")
def test_a_row_that_is_broken_off_before_any_case_is_done_tells_no_time():
    cost = together("claims", 4, [partial(time.sleep, 60)] * 2, lambda: 0, limit=0.2)
    assert (cost.seconds, cost.processor) == (None, None) and "no case was done" in cost.note


def test_the_start_up_is_what_does_not_grow_with_the_cases():
    calls = [Call(1, 4.0, 10.0), Call(10, 4.2, 46.0), Call(1, 4.1, 10.0), Call(10, 4.4, 46.0)]
    found = found_in(calls)
    assert (found.a_case, found.start_up, found.before) == (4.0, 6.0, pytest.approx(4.15))
    assert found.share(8) == pytest.approx(6 / 38)
    assert found.share(found.cases_for_goal) < 0.05 <= found.share(found.cases_for_goal - 1)
