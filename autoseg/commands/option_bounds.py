"""Bounds of the numbers among the options: what lies outside is refused before any work begins.

Bounds are wide: they refuse a slip of the keyboard, not an unusual choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from autoseg.errors import InputError
from autoseg.terminal import parse_duration


@dataclass(frozen=True)
class Between:
    """Bounds of an option, both included; they stand in the option's type.

    Args:
        low: smallest number that is accepted, in the unit of the option.
        high: largest number that is accepted, in the same unit.
    """

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a number is within the bounds; nan is not."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        low = "one" if self.low == 1 else f"{self.low:g}"
        return f"at least {low}, and at most {_written(self.high)}"


class ALength:
    """Stands in the type of an option that is a length of time, such as `40m`; `parse_duration` has its bounds."""


DURATION = ALength()
THREADS = Between(1, 1_024)
WORKERS = Between(1, 1_024)
PATCH_WORKERS = Between(0, 1_024)
"""With none, patches are made in the process that trains."""

EPOCHS = Between(1, 100_000)
MEMORY_GB = Between(0.5, 10_000)
FOLDS = Between(2, 1_000)
FOLD = Between(0, 999)
RETRIES = Between(0, 100)
AT_ONCE = Between(1, 64)
"""As many as a plan has devices at most (`autoseg.plan.bounds`)."""

SEED = Between(0, 2**32 - 1)
CASES = Between(1, 100_000)
PIXEL_MM = Between(1e-6, 200)
"""The bounds of `autoseg.image.sound_geometry`, whose import takes longer than `--help` may."""

SHARE_MISSING = Between(0, 0.5)


def refuse_out_of_bounds(types: Mapping[str, Any], given: Mapping[str, object]) -> None:
    """Refuse numbers and lengths of time beyond the bounds that stand in the types of their options.

    Args:
        types: type of each option, by its name in Python.
        given: value of each option; one that is no number, such as `all`, is not looked at.

    Raises:
        InputError: a number is beyond its bounds, or no whole number where one is needed, or a text is no length of
            time.
    """
    for name, value in given.items():
        hint = types[name]
        if DURATION in get_args(hint)[1:] and isinstance(value, str | int | float):
            parse_duration(value)
        bounds = next((part for part in get_args(hint)[1:] if isinstance(part, Between)), None)
        for one in value if isinstance(value, list | tuple) else (value,):
            if bounds is None or isinstance(one, bool) or not isinstance(one, int | float):
                continue
            option = f"--{name.replace('_', '-')} {_written(one)}"
            if not bounds.holds(one):
                raise InputError(f"{option}: {bounds}")
            if float not in get_args(get_args(hint)[0]) and int(one) != one:
                raise InputError(f"{option}: a whole number is needed")


def _written(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"
