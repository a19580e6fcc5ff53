"""The command-line reference in `docs` is that of the commands as they are."""

from pathlib import Path

import pytest

from autoseg import COMMANDS as functions
from autoseg.commands.cli import name_of_command
from autoseg.commands.command_line_page import reference

PAGE = Path(__file__).parents[3] / "docs" / "command-line.md"


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == reference(), (
        "python -m autoseg.commands.command_line_page > docs/command-line.md"
    )


@pytest.mark.parametrize("function", functions)
def test_every_command_is_in_it(function):
    assert f"autoseg {name_of_command(function)}" in reference()
