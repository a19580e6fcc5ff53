"""A part of many cases, which processes predict one after the other or at the same time, on any machine.

A part predicts its own cases. Once no part waits any more for its turn, one that is done helps those that still run, so
that a slow machine holds nobody up. What is predicted stays known until the models or the options change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from autoseg.dataset.case import Case
from inference.lasting_marks import Lasting
from inference.planned_files import PlannedFiles
from inference.shared_output import SharedOutput


@dataclass(frozen=True)
class PartOfMany:
    """What a part knows of the others.

    Args:
        made_from: digest of the models and options of all parts, by which what is predicted stays known.
        to_help: names the cases of parts that still run, in the order in which a part that is done predicts them too;
            none as long as a part waits for its turn.
        waits: whether a part ends only once the cases are done that others are at.
    """

    made_from: str
    to_help: Callable[[], Sequence[str]]
    waits: bool = True


@dataclass(frozen=True)
class CasesToPredict:
    """Cases that a prediction begins with, and those that it may go on with.

    Args:
        left: cases to predict.
        every: files of all cases, also of other parts.
        of_many: what this part knows of the others; None = it is predicted by itself.
    """

    left: Sequence[Case]
    every: PlannedFiles
    of_many: PartOfMany | None

    def targets(self) -> dict[str, Path]:
        """File of the prediction of every case, by the case's name."""
        return dict(zip((case.name for case in self.every.cases), self.every.targets, strict=True))

    def not_done(self, shared: SharedOutput, console: Console) -> list[Case]:
        """Cases of this part that are not predicted; how many are is told."""
        if self.of_many is None:
            return list(self.left)
        left = [case for case in self.left if not shared.is_done(case)]
        console.print(f"{len(self.left) - len(left)} of {len(self.left)} are predicted already and left as they are.")
        return left

    def to_help(self, shared: SharedOutput) -> list[Case]:
        """Cases of parts that still run which are not predicted."""
        if self.of_many is None:
            return []
        by_name = {case.name: case for case in self.every.cases}
        named = [by_name[name] for name in self.of_many.to_help() if name in by_name]
        return [case for case in named if not shared.is_done(case)]


def what_lasts(of_many: PartOfMany | None, *, skip_existing: bool) -> Lasting | None:
    """What a prediction leaves known when it ends, and keeps of what was predicted before; None = it begins anew.

    Args:
        of_many: what a part knows of the others.
        skip_existing: whether cases are left as they are of which all outputs are there.
    """
    if of_many is None and not skip_existing:
        return None
    return Lasting(None if of_many is None else of_many.made_from)
