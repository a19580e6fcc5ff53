"""A table that grows is written every few seconds, and less often the longer that takes."""

import pytest

from inference import case_table
from inference.case_table import CaseTable, Kind, Row, read_table

KIND = Kind("table.csv", ("case", "value"), "values")


@pytest.mark.parametrize(("takes", "writes"), [(0.0, 9), (2.0, 3)])
def test_writing_takes_a_small_share_of_the_time(tmp_path, monkeypatch, takes, writes):
    now, written, write = [0.0], list[float](), case_table.write_rows

    def slow(*arguments, **options):
        written.append(now[0])
        now[0] += takes
        return write(*arguments, **options)

    monkeypatch.setattr(case_table.clock, "now", lambda: now[0])
    monkeypatch.setattr(case_table, "write_rows", slow)
    with CaseTable(tmp_path, KIND) as table:
        while now[0] < 100:
            table.add(f"case at {now[0]}", [Row((f"case at {now[0]}", 1))])
            now[0] += 1.0
        # the first one follows after ten seconds, the others after twenty times as long as a write took
        assert len(written) == writes
    assert len(read_table(tmp_path, KIND)) == 100 - int(takes * (writes))
