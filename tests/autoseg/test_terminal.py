"""How wide text is where no terminal says so, and lengths of time as they are typed and read."""

import pytest
from rich.table import Table

from autoseg.errors import InputError
from autoseg.terminal import WIDTH_IN_A_LOG, format_duration, open_console, parse_duration, progress_bar


def print_a_row(columns: int) -> list[str]:
    """A row of cells, as wide as a mean and its spread, printed to standard output; its cells."""
    cells = [f"{i:03d} ± {i:03d}" for i in range(columns)]
    table = Table(*(f"class {i}" for i in range(columns)))
    table.add_row(*cells)
    open_console().print(table)
    return cells


def test_a_log_shows_the_rows_of_a_table_of_many_classes_whole(capsys, monkeypatch) -> None:
    # each makes rich take any output for a terminal, or sets its width
    for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    cells = print_a_row(12)
    lines = capsys.readouterr().out.splitlines()
    assert any(all(cell in line for cell in cells) for line in lines)
    assert max(map(len, lines)) <= WIDTH_IN_A_LOG


@pytest.mark.parametrize("columns", [60, 300])
def test_a_width_that_a_person_set_is_kept(capsys, monkeypatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_a_row(40)
    assert max(map(len, capsys.readouterr().out.splitlines())) == columns


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("40m", 2400), ("2h", 7200), ("1h30m", 5400), ("1.5h", 5400), ("1H 2m3s", 3723), (12.5, 12.5)],
)
def test_a_length_of_time_is_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "40", "m", "30m1h", "-5m", "40 minutes", "0s", 0, float("inf"), "1h30"])
def test_what_is_no_length_of_time_is_refused_by_name(text):
    with pytest.raises(InputError, match=str(text).strip("-") or "''"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (86400 * 3 + 4 * 3600, "3 days 4 h"),
        (86400, "1 day"),
    ],
)
def test_a_length_of_time_is_written_in_two_units(seconds, text):
    assert format_duration(seconds) == text


class WriteOnly:
    """What some notebooks and services put in place of standard output."""

    def __init__(self) -> None:
        self.written = ""

    def write(self, text: str) -> int:
        self.written += text
        return len(text)


def test_a_stream_that_can_only_write_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = WriteOnly()
    monkeypatch.setattr("sys.stdout", stream)
    console = open_console()
    console.print("said")
    with progress_bar(console) as bar:
        bar.add_task("working", total=1)
    assert stream.written.startswith("said\n")
    assert "working" in stream.written


def test_without_a_stream_nothing_is_printed_and_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    open_console().print("said")
