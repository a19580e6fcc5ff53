"""A line in a table of the report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One line of a table: what it is about, its value, and the reason where one is known."""

    what: str
    value: str
    reason: str = ""
