"""Writes the command-line reference: `python -m autoseg.commands.command_line_page > docs/command-line.md`."""

from __future__ import annotations

import io

from rich.console import Console

import autoseg
from autoseg.commands.cli import make_app, name_of_command

HEAD = """<!-- made by python -m autoseg.commands.command_line_page -->

# The command line

Each command as `autoseg COMMAND --help` explains it."""

WIDTH = 100


def reference() -> str:
    """Return a Markdown page with the help of every command."""
    commands = map(name_of_command, autoseg.COMMANDS)
    return "\n\n".join([HEAD, *map(_page, commands)]) + "\n"


def _page(command: str) -> str:
    shown = io.StringIO()
    make_app().help_print([command], console=Console(file=shown, width=WIDTH, color_system=None, force_terminal=False))
    lines = "\n".join(line.rstrip() for line in shown.getvalue().strip().splitlines())
    return f"## autoseg {command}\n\n```text\n{lines}\n```"


if __name__ == "__main__":
    print(reference(), end="")
