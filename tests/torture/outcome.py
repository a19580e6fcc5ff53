"""What one attempt at rough treatment ended in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Outcome:
    """One attempt.

    Args:
        what: what was done, in words and with every drawn value, so that it can be done again by hand.
        verdict: "right", "fault", or "apart" for what is too costly to be carried out and is only counted.
        ending: what came of it: the message, the exit status, or what differs.
    """

    what: str
    verdict: Literal["right", "fault", "apart"]
    ending: str


Torture = Callable[[Path, int], Iterator[Outcome]]
"""A kind of treatment: it takes an empty folder to work in and a seed, and gives outcomes without end."""
