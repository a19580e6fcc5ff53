"""The stages of a run whose time is recorded, and the text by which `time_spent.json` names each of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "check",
    "fingerprint",
    "plan",
    "preprocess",
    "train",
    "look ahead at report",
    "look ahead at selection",
    "report",
    "study report",
    "select",
]

AGAIN = ", before planning again"
"""End of the text of a training that was begun anew after its configuration had been planned again."""

_TRAINING = re.compile(rf"train (?P<configuration>.+) fold (?P<fold>\d+)(?P<again>{AGAIN})?")


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Args:
        kind: kind of work that is done.
        configuration: name of the configuration that the work is for; None = for the whole run.
        fold: number of the fold that is trained, from 0; None where the stage is no training.
        before_planning_again: whether this training was given up because its configuration was planned again.
    """

    kind: Kind
    configuration: str | None = None
    fold: int | None = None
    before_planning_again: bool = False

    @property
    def text(self) -> str:
        """Name of the stage in `time_spent.json`, such as `fingerprint` or `train 3d fold 0`."""
        words = [self.kind, *([self.configuration] if self.configuration is not None else [])]
        words += [f"fold {self.fold}"] if self.fold is not None else []
        return " ".join(words) + (AGAIN if self.before_planning_again else "")


def stage_of(text: str) -> Stage | None:
    """Return the stage that a text in `time_spent.json` names; None for one that this release does not know."""
    if found := _TRAINING.fullmatch(text):
        return Stage("train", found["configuration"], int(found["fold"]), found["again"] is not None)
    for kind in get_args(Kind):
        if text == kind:
            return Stage(kind)
        if text.startswith(f"{kind} "):
            return Stage(kind, text.removeprefix(f"{kind} "))
    return None
