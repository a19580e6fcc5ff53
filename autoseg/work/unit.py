"""A unit of work: a part of a run that one process does on one machine, with what it needs and what it waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["plan", "prepare", "train", "select", "report", "predict", "evaluate", "study"]


@dataclass(frozen=True)
class Needs:
    """What a unit needs of the machine that does it.

    Args:
        cores: processor cores that it can use.
        memory_bytes: peak of main memory in bytes; None = not known, since the plan does not exist or was made
            unmeasured.
        gpus: number of GPUs that it uses at once.
        seconds: wall time in seconds that the unit is expected to take; None = not known.
    """

    cores: int
    memory_bytes: int | None
    gpus: int
    seconds: float | None


@dataclass(frozen=True)
class Unit:
    """A unit of work of a RUN.

    Args:
        name: its name, such as `train-3d-fold_0`: unique in the RUN, and fit for the name of a file.
        kind: kind of its work, such as `prepare`, `train` or `report`.
        needs: what it needs of a machine.
        waits_for: names of the units that must be done before it begins.
        after_end_of: names of the units that must have ended before it begins, done or failed for good.
    """

    name: str
    kind: Kind
    needs: Needs
    waits_for: tuple[str, ...]
    after_end_of: tuple[str, ...] = ()
