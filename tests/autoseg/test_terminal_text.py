"""Names from files are printed as they are written, and do nothing to the terminal."""

import io

import pytest
from rich.table import Table

from autoseg.names import visible
from autoseg.terminal import PlainConsole, styled

NAMES = ["core[/b]", "[/]", "kidney [left]", "a[red]b", ":smile:", "$\\frac{$"]


def printed(renderable):
    out = io.StringIO()
    PlainConsole(file=out, width=100, force_terminal=False).print(renderable)
    return out.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_brackets_are_no_markup(name):
    table = Table("class")
    table.add_row(name)
    for shown in (name, table, styled("bold", name, f": {name}")):
        assert name in printed(shown)


def test_control_characters_are_signs():
    assert visible("a\x1b[31mb\x00\x7f\x9b\u202ec") == "a␛[31mb␀␡\\u009b\\u202ec"
    assert visible("line\n\ttab äöü 患者") == "line\n\ttab äöü 患者"
    assert "\x1b" not in printed("class \x1b]0;title\x07") and "␛]0;title␇" in printed("class \x1b]0;title\x07")
