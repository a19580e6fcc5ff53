"""What an engine that stays until the end knows of the units: which can be placed, are tried again, or failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from autoseg.names import listed
from autoseg.work.unit import Unit

DONE, REFUSED = 0, 2
"""Exit statuses of a unit that is done, and of one that trying again does not help."""

NAMED = 5
"""Units that are named in a message at most."""


@dataclass(frozen=True)
class Ended:
    """How a try of a unit ended.

    Args:
        status: exit status of its process; None = its node or its process was lost.
        where: machine on which it ran, in words; empty where that is not known.
        why: what is told of a try that did not end well.
        log: file of what it printed; empty where there is none.
    """

    status: int | None
    where: str = ""
    why: str = ""
    log: str = ""

    def told(self) -> str:
        """Say where it ended and why, in one line."""
        said = " ".join(self.why.split()) or (
            "it was lost" if self.status is None else f"it ended with status {self.status}"
        )
        return f"{said}{f' (on {self.where})' if self.where else ''}"


@dataclass
class Ledger:
    """The units of a run, by where they stand.

    Args:
        units: all units that are known so far.
        retries: number of times that a unit is tried again after a try that failed.
        done: names of those that are done.
        tries: number of tries that failed, by name.
        failed: how the last try ended of those that are given up, by name.
    """

    units: tuple[Unit, ...]
    retries: int
    done: set[str]
    tries: dict[str, int] = field(default_factory=dict)
    failed: dict[str, Ended] = field(default_factory=dict)
    _placed: set[str] = field(default_factory=set)

    def take_ready(self) -> list[Unit]:
        """Return the units that wait for nothing any more, which count as placed from now on."""
        out = self.done | self._placed | self.failed.keys()
        ready = [unit for unit in self.units if unit.name not in out and self._may_begin(unit)]
        self._placed.update(unit.name for unit in ready)
        return ready

    def _may_begin(self, unit: Unit) -> bool:
        ended = self.done | self.failed.keys()
        if not self.done.issuperset(unit.waits_for):
            return False
        # one that waits for a failed unit never begins
        return all(name in ended or self._is_stuck(name) for name in unit.after_end_of)

    def _is_stuck(self, name: str) -> bool:
        """Whether a unit is given up, or never begins, since one that it waits for is given up."""
        if name in self.done or name in self._placed:
            return False
        before = next((unit.waits_for for unit in self.units if unit.name == name), ())
        return name in self.failed or any(map(self._is_stuck, before))

    def end(self, name: str, ended: Ended) -> Literal["done", "again", "failed"]:
        """Record how the try of a unit ended.

        Returns:
            What follows: it is done, it is ready again, or it is given up.
        """
        self._placed.discard(name)
        if ended.status == DONE:
            self.done.add(name)
            return "done"
        self.tries[name] = self.tries.get(name, 0) + 1
        if ended.status == REFUSED or self.tries[name] > self.retries:
            self.failed[name] = ended
            return "failed"
        return "again"

    def not_begun(self) -> list[str]:
        """Return the names of the units that were never placed, since one that they wait for failed."""
        known = self.done | self._placed | self.failed.keys()
        return [unit.name for unit in self.units if unit.name not in known]


def told_failures(ledger: Ledger) -> str:
    """Return what is told at the end of a run in which units failed: each with its cause and its log."""
    count = len(ledger.failed)
    heading = f"{count} {'unit' if count == 1 else 'units'} failed; the same command tries "
    lines = [f"{heading}{'it' if count == 1 else 'them'} again, and does what is left"]
    for name, ended in ledger.failed.items():
        tries = ledger.tries[name]
        often = "" if tries == 1 else f" in {tries} tries"
        log = f"; what it printed: {ended.log}" if ended.log else ""
        lines.append(f"{name}: failed{often}: {ended.told()}{log}")
    if waiting := ledger.not_begun():
        lines.append(f"not begun, since they wait for these: {listed(waiting, NAMED)}")
    return "\n".join(lines)
