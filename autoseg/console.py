"""Where text for a person goes: the terminal, or a log that its output was sent to."""

from __future__ import annotations

import os

from rich.console import Console

WIDTH_IN_A_LOG = 160
"""Columns where no terminal says how many there are: rich's 80 would cut tables of many classes."""


def open_console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal; in a file or a pipe wide enough for tables, or as `COLUMNS` says.

    Args:
        stderr: write to standard error, as progress bars, warnings and errors do.
    """
    made = Console(stderr=stderr)
    # a notebook, which is no terminal, has a width of its own
    if not made.is_terminal and not made.is_jupyter and "COLUMNS" not in os.environ:
        made.width = WIDTH_IN_A_LOG
    return made
