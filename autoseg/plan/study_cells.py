"""The cells of a study: each cell is a set of sequences in one input dimension.

In: what the user asked for, such as `T1+T2` and `2d`, and the channels of the data set. Out: `Cell`s. In the
plan each cell is a configuration called `SEQUENCES.DIMENSION`, so that it is trained, predicted with and
reported on like any other configuration.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.errors import InputError
from autoseg.image.flat.kind import are_colours
from autoseg.names import why_unsafe
from autoseg.plan.defaults import DEFAULT_DIMENSIONS, SLICES_ALONE
from autoseg.plan.plan import Plan

DIMENSIONS = ("2d", "2.5d", "3d", "3d_lowres")
"""Input dimensions, in the order in which results show them."""

ALL = "all"
"""Word that stands for all sequences of the data set."""


@dataclass(frozen=True)
class Cell:
    """One set of sequences in one input dimension.

    Args:
        label: set of sequences as the user wrote it, such as `T1+T2` or `all`, made fit for the name of a folder.
        sequences: names of the channels in the set, in the data set's order.
        dimension: name of the configuration that the cell is made from: `2d`, `2.5d`, `3d` or `3d_lowres`.
    """

    label: str
    sequences: tuple[str, ...]
    dimension: str

    @property
    def name(self) -> str:
        """Name of the cell's configuration, such as `T1+T2.2d`."""
        return f"{self.label}.{self.dimension}"


@dataclass(frozen=True)
class Grid:
    """What the user asked a study to compare: every set of sequences in every dimension.

    Args:
        sequences: sets such as `T1`, `T1+T2`, `all`; None = each sequence alone, and all together; of colours all
            together alone.
        dimensions: input dimensions, some of `DIMENSIONS`; None = the default, which is `2d` for images of one slice.

    Raises:
        InputError: there is no set or no dimension, or a dimension is unknown.
    """

    sequences: tuple[str, ...] | None
    dimensions: tuple[str, ...] | None

    def __post_init__(self) -> None:
        if self.sequences is not None and not self.sequences:
            raise InputError("--sequences: name at least one set, such as T1 or T1+T2 or all")
        if self.dimensions is None:
            return
        if not self.dimensions:
            raise InputError("--dimensions: name at least one of " + ", ".join(DIMENSIONS))
        if unknown := [d for d in self.dimensions if d not in DIMENSIONS]:
            raise InputError(f"--dimensions {' '.join(unknown)}: unknown; there are {', '.join(DIMENSIONS)}")

    def cells(self, channels: Sequence[str], *, slices_alone: bool = False) -> tuple[Cell, ...]:
        """Return the cells, set by set; a cell that was asked for twice is returned once.

        Args:
            channels: names of the data set's channels.
            slices_alone: whether the images have one slice each, so that nothing but `2d` can be planned.

        Raises:
            InputError: the data set does not have a sequence, or two sets would have the same folder name.
        """
        # a colour alone is no sequence that could be left out of an acquisition
        asked = self.sequences or ((ALL,) if are_colours(channels) else (*channels, ALL))
        sets: dict[tuple[str, ...], str] = {}
        for text in asked:
            sets.setdefault(_sequences(text, channels), _folder_name(text))
        if len({label.casefold() for label in sets.values()}) < len(sets):
            raise InputError(f"--sequences {' '.join(asked)}: two of these would have one name; rename a sequence")
        dimensions = dict.fromkeys(self.dimensions or (SLICES_ALONE if slices_alone else DEFAULT_DIMENSIONS))
        cells = tuple(Cell(label, names, dimension) for names, label in sets.items() for dimension in dimensions)
        for cell in cells:
            if reason := why_unsafe(cell.name):
                raise InputError(
                    f"--sequences: the cell {cell.name} would be a folder whose name {reason}; rename a sequence"
                )
        return cells


def cells_in(plan: Plan) -> tuple[Cell, ...]:
    """Return the cells that a plan holds; the plan of a run that is no study holds none."""
    found = []
    for name, configuration in plan.configurations.items():
        # longer endings are tried first, since a long one might itself end with a shorter one
        for dimension in sorted(DIMENSIONS, key=len, reverse=True):
            label = name.removesuffix(f".{dimension}")
            if label != name and configuration.sequences is not None:
                found.append(Cell(label, configuration.sequences, dimension))
                break
    return tuple(found)


def _sequences(text: str, channels: Sequence[str]) -> tuple[str, ...]:
    """Channels that a set names, in the data set's order; the name of a channel may itself contain a plus."""
    if text in channels:
        return (text,)
    if text == ALL:
        return tuple(channels)
    names = text.split("+")
    if unknown := [name for name in names if name not in channels]:
        raise InputError(
            f"--sequences {text}: the data set has no {' or '.join(unknown) or 'such sequence'}; "
            f"it has {', '.join(channels)}, joined by + or {ALL}"
        )
    return tuple(channel for channel in channels if channel in names)


def _folder_name(text: str) -> str:
    return re.sub(r"[^\w+.-]+", "_", text)
