"""The classes of a data set that declares none: the values or the names that its label files hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.dataset.voxels import count_values
from autoseg.errors import ImageError
from autoseg.image.image import read_label
from autoseg.image.label_file import read_segmentation
from autoseg.image.segmentation import BACKGROUND, Segment, folded

# a whole number as large as this is damage, which the check tells as a value that is not declared
_NO_CLASS = 2**31
_SHOWN = 8


@dataclass(frozen=True)
class FileClasses:
    """What one label file says of its classes.

    Args:
        file: path of the file.
        segments: its segments with their numbers of voxels; None where the file holds numbers alone.
        values: the values that occur, where it holds numbers alone.
        problem: why it cannot be read, where it cannot.
    """

    file: Path
    segments: tuple[tuple[Segment, int], ...] | None
    values: tuple[float, ...] = ()
    problem: str = ""

    @property
    def whole_values(self) -> set[int]:
        """The whole numbers beside 0; others are damage, which the check reports."""
        return {int(value) for value in self.values if value.is_integer() and 0 < abs(value) < _NO_CLASS}


@dataclass(frozen=True)
class FoundClasses:
    """The classes of all files.

    Args:
        values: value of each class, by name, in the order of the values; without the background.
        empty: names of segments that have no voxel in any file, so that they are no classes.
    """

    values: dict[str, int]
    empty: tuple[str, ...] = ()


class ClassesDiffer(ValueError):
    """The files do not agree on what their classes are; the text is the end of a sentence that begins with a path."""


def classes_in(file: Path) -> FileClasses:
    """Read what a label file says of its classes; where it cannot be read, that is the only thing it says."""
    try:
        found = read_segmentation(file)
        if found is not None:
            return FileClasses(file, tuple(zip(found.segments, found.voxels(), strict=True)))
        return FileClasses(file, None, tuple(count_values(read_label(file).array)))
    except ImageError as error:
        return FileClasses(file, None, problem=str(error))


def problems_of(files: Sequence[FileClasses]) -> list[str]:
    """Why the first files that cannot be read cannot, and how many more there are."""
    told = [one.problem for one in files if one.problem]
    more = [f"and {len(told) - _SHOWN} more label files cannot be read"] if len(told) > _SHOWN else []
    return [*told[:_SHOWN], *more]


def classes_of(files: Sequence[FileClasses]) -> FoundClasses:
    """Make one list of classes of what several files say.

    Where files name their classes, the names are the classes. They keep the values of the files if these are the same
    in all files, and else are numbered from 1 in the order of the alphabet.

    Raises:
        ClassesDiffer: some files name their classes and others hold numbers alone, or two names differ in upper and
            lower case alone.
    """
    named = [one for one in files if one.segments is not None]
    numbered = [one for one in files if one.whole_values]
    if not named:
        return FoundClasses(
            {f"label {value}": value for value in sorted({v for one in files for v in one.whole_values})}
        )
    if numbered:
        raise ClassesDiffer(
            f"{named[0].file} names its classes, and {numbered[0].file} holds numbers alone "
            f"({len(numbered)} of {len(files)} files do)"
        )
    values: defaultdict[str, set[int]] = defaultdict(set)
    where: dict[str, Path] = {}
    every: dict[str, None] = {}
    for one in named:
        for segment, voxels in one.segments or ():
            if folded(segment.name) == BACKGROUND:
                continue
            every[segment.name] = None
            if voxels:
                values[segment.name].add(segment.value)
                where.setdefault(segment.name, one.file)
    _require_apart(where)
    empty = tuple(sorted(name for name in every if name not in values))
    alone = {name: min(found) for name, found in values.items() if len(found) == 1}
    if len(set(alone.values())) == len(values):
        return FoundClasses(dict(sorted(alone.items(), key=lambda item: item[1])), empty)
    ordered = sorted(values, key=lambda name: (folded(name), name))
    return FoundClasses({name: i for i, name in enumerate(ordered, start=1)}, empty)


def _require_apart(where: dict[str, Path]) -> None:
    """Refuse names that are one word in different spellings, of which nobody can say whether they are one class."""
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for name in where:
        spellings[folded(name)].append(name)
    told = [
        " and ".join(f"{name!r} in {where[name]}" for name in names) for names in spellings.values() if len(names) > 1
    ]
    if told:
        raise ClassesDiffer(f"segments differ in upper and lower case alone: {'; '.join(told[:_SHOWN])}")
