"""Tables are read in a stream within bounds; what a spreadsheet would run is quoted, and read back as it was."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoseg.disk.csv_files import (
    MOST_CELL_LENGTH,
    MOST_COLUMNS,
    MOST_ROWS,
    TableRefused,
    csv_text,
    guarded,
    read_rows,
    unguarded,
)


@pytest.mark.parametrize("cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "=HYPERLINK(1)"])
def test_no_cell_begins_as_a_formula_does(cell) -> None:
    written = next(csv.reader(io.StringIO(csv_text([cell], []), newline="")))
    assert written == [f"'{cell}"]


@pytest.mark.parametrize("cell", ["-1.5", "+3", "-1e-05", "T1", "'s", "", "a=b", "1-2"])
def test_numbers_and_plain_text_stay(cell) -> None:
    assert guarded(cell) == cell and unguarded(cell) == cell


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(st.sampled_from("'=+-@\t\r\n,;\"a1.é"), max_size=6), min_size=2, max_size=4))
def test_what_is_written_is_read_back(tmp_path_factory, cells) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text(csv_text(cells, [cells]), encoding="utf-8", newline="")
    assert [row for _, row in read_rows(path)] == [cells, cells]


def test_each_encoding_and_line_end_of_spreadsheets_is_read(tmp_path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        for end in ("\n", "\r\n", "\r"):
            text = end.join(["case;name", 'a;"Ödem\u2028x"', "", "b;-3"])
            (tmp_path / "a.csv").write_text(text, encoding=encoding, newline="")
            rows = list(read_rows(tmp_path / "a.csv", ",;\t"))
            assert rows == [(1, ["case", "name"]), (2, ["a", "Ödem\u2028x"]), (3, []), (4, ["b", "-3"])]


def refused(path: Path) -> str:
    with pytest.raises(TableRefused) as found:
        for _ in read_rows(path):
            pass
    return found.value.told(path)


def test_what_is_too_large_is_refused_by_its_line(tmp_path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text("a,b\n" + f"{'x' * (MOST_CELL_LENGTH + 1)},1\n", encoding="utf-8")
    assert "cases.csv, line 2: column 1: 32,768 characters" in refused(path)
    path.write_text("a\n" + "x" * 2**21, encoding="utf-8")
    assert "cases.csv, line 2: is longer than 1,048,576 characters" in refused(path)
    path.write_text("," * MOST_COLUMNS, encoding="utf-8")
    assert "cases.csv, line 1: has 16,385 cells" in refused(path)
    path.write_text("a\n" + "x\n" * (MOST_ROWS + 1), encoding="utf-8")
    assert "cases.csv, line 1000002: the table has more than 1,000,000 rows" in refused(path)
    with path.open("wb") as file:
        file.truncate(2**33)
    assert "cases.csv: is 8192 MiB large, and 512 MiB are read at most" in refused(path)


def test_a_byte_that_is_no_text_is_named_by_its_line(tmp_path) -> None:
    (tmp_path / "a.csv").write_bytes("case\nÖ\n".encode() + b"\xd6\n")
    assert "line 3: not UTF-8" in refused(tmp_path / "a.csv")
