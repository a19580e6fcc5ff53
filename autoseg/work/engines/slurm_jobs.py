"""Puts units of work together into jobs: units that differ by a number alone, and wait for the same, are a job array.

The folds of a configuration are one array, and so are the parts of its preparation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.work.unit import Kind, Needs, Unit

_NUMBERED = re.compile(r"(?P<before>.*[-_])(?P<number>0|[1-9][0-9]{0,8})(?P<after>(of[0-9]+)?)")


@dataclass(frozen=True)
class Job:
    """A job, or a job array, of one or more units of work.

    Args:
        before: the part of the units' names before the number; of a job that is no array, the name of its unit.
        after: the part of the names after the number.
        numbers: the number of each unit, which is its place in the job array; empty = the job is no array.
        needs: what each of the units needs; of those that need unlike much, the most.
        kind: what the units do.
        waits_for: names of the units that each of them waits for.
        after_end_of: names of the units for whose end each of them waits, whether they are done or failed.
    """

    before: str
    after: str
    numbers: tuple[int, ...]
    needs: Needs
    kind: Kind
    waits_for: tuple[str, ...]
    after_end_of: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the job, from which each unit's follows: `train-3d-fold_%a`, as Slurm writes a place in an array."""
        return self.named("%a")

    @property
    def unit_names(self) -> tuple[str, ...]:
        """Names of the units, in the order of `numbers`."""
        return tuple(self.named(str(number)) for number in self.numbers) or (self.before,)

    def named(self, number: str) -> str:
        """Name of a unit, with anything in the place of its number, such as Slurm's `%a`."""
        return f"{self.before}{number}{self.after}" if self.numbers else self.before


def jobs_of(units: Sequence[Unit]) -> tuple[Job, ...]:
    """Put units together into jobs.

    Args:
        units: units in an order in which each comes after those that it waits for.

    Returns:
        The jobs, in an order in which each comes after those that it waits for.
    """
    groups: dict[tuple[object, ...], list[tuple[Unit, re.Match[str]]]] = {}
    for unit in units:
        match = _NUMBERED.fullmatch(unit.name) or re.fullmatch(r"(?P<before>.*)", unit.name)
        assert match is not None, unit.name
        parts = match.groupdict()
        waits = (unit.waits_for, unit.after_end_of)
        key = (parts["before"], parts.get("after"), unit.kind, unit.needs.gpus, waits)
        groups.setdefault(key, []).append((unit, match))
    return tuple(_job(group) for group in groups.values())


def _job(group: Sequence[tuple[Unit, re.Match[str]]]) -> Job:
    units, parts = [unit for unit, _ in group], [match.groupdict() for _, match in group]
    return Job(
        before=parts[0]["before"],
        after=parts[0].get("after") or "",
        numbers=tuple(int(part["number"]) for part in parts if "number" in part),
        needs=_most([unit.needs for unit in units]),
        kind=units[0].kind,
        waits_for=units[0].waits_for,
        after_end_of=units[0].after_end_of,
    )


def _most(needs: Sequence[Needs]) -> Needs:
    """What suffices for each of several units; what is unknown of one is unknown of all."""
    memory, seconds = [one.memory_bytes for one in needs], [one.seconds for one in needs]
    return Needs(
        cores=max(one.cores for one in needs),
        memory_bytes=None if None in memory else max(value for value in memory if value is not None),
        gpus=max(one.gpus for one in needs),
        seconds=None if None in seconds else max(value for value in seconds if value is not None),
    )
