"""How wide text is where no terminal says so."""

import pytest
from rich.table import Table

from autoseg.console import WIDTH_IN_A_LOG, open_console


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
