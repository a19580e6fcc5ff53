"""The classes of a data set that declares none: the values or the names that its label files hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.dataset.dataset_json import FILE_NAME, labels_of
from autoseg.dataset.label_values import looks_like_image
from autoseg.dataset.voxels import count_values
from autoseg.errors import DatasetError, ImageError
from autoseg.image.file_kind import why_unreadable
from autoseg.image.flat.kind import is_picture
from autoseg.image.image import read_label
from autoseg.image.label_file import read_segmentation
from autoseg.image.labels import IGNORE, Labels
from autoseg.image.segmentation import BACKGROUND, Segment, folded
from autoseg.machine.map_cases import map_cases, workers_within_memory
from autoseg.names import listed

# a whole number as large as this is damage, which the check tells as a value that is not declared
_NO_CLASS = 2**31
_SHOWN = 8
_MOST_OF_MASKS, _WHITE = 12, 255
# bytes of memory that it takes to count the values of a label file, for each byte of the file
_MEMORY_PER_FILE_BYTE = 400
_DECLARE = (
    f'declare the classes in a {FILE_NAME} there, such as {{"labels": {{"background": 0, "liver": 1}}}}: '
    "names are matched then in any spelling, and numbers by their value"
)


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
    has_ignore = [name for name in values if folded(name) == IGNORE]
    for name in has_ignore:
        del values[name]
    empty = tuple(sorted(name for name in every if name not in values))
    classes = _numbered(values)
    # such voxels are not annotated, and their value is the highest
    if has_ignore:
        classes[IGNORE] = max(classes.values(), default=0) + 1
    return FoundClasses(classes, empty)


def _numbered(values: Mapping[str, set[int]]) -> dict[str, int]:
    """Value of each class: that of the files where all have one and no two share it, else by the alphabet."""
    alone = {name: min(found) for name, found in values.items() if len(found) == 1}
    if len(set(alone.values())) == len(values):
        return dict(sorted(alone.items(), key=lambda item: item[1]))
    ordered = sorted(values, key=lambda name: (folded(name), name))
    return {name: i for i, name in enumerate(ordered, start=1)}


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


def _require_no_smoothing(files: Sequence[Path], values: Mapping[str, int], source: Path) -> None:
    """Refuse masks in PNG whose edges have values between black and white, each of which would be a class."""
    if any(map(is_picture, files)) and len(values) > _MOST_OF_MASKS and _WHITE in values.values():
        raise DatasetError(
            [
                f"{source}: the label files hold {len(values)} values up to {_WHITE}, as masks do that were resized, "
                "smoothed or saved as JPEG; export them anew, or, if all of these are classes, " + _DECLARE
            ]
        )


def _white_for_one(files: Sequence[FileClasses], found: FoundClasses, source: Path) -> tuple[str, ...]:
    """A warning where some masks have 0 and 255 and others 0 and 1, which become two classes."""
    white, one = ([file for file in files if value in file.whole_values] for value in (_WHITE, 1))
    if set(found.values.values()) != {1, _WHITE} or {file.file for file in white} & {file.file for file in one}:
        return ()
    few, other, value, usual = (white, one, _WHITE, 1) if len(white) <= len(one) else (one, white, 1, _WHITE)
    names = listed([file.file.name for file in few], _SHOWN)
    return (
        f"{source}: label {value} occurs in {len(few)} of {len(files)} label files ({names}), and label {usual} in "
        f"{len(other)} others: is it the same class? Then save these masks with {usual}",
    )


def labels_found(files: Sequence[Path], source: Path) -> tuple[Labels, tuple[str, ...]]:
    """Return the labels that names or values in label files give, and warnings; unreadable files are told later.

    Args:
        files: files of the label maps.
        source: table or folder that lists them, for messages.

    Raises:
        DatasetError: no file has a class, or the files do not agree on the classes.
    """
    largest = max((file.stat().st_size for file in files if why_unreadable(file) is None), default=0)
    workers = workers_within_memory(_MEMORY_PER_FILE_BYTE * largest) if len(files) > 50 else 1
    described = map_cases(classes_in, files, workers, "Classes of the labels")
    if images := [f"label {one.file}: {told}" for one in described if (told := looks_like_image(one.values))]:
        more = [f"and {len(images) - _SHOWN} more label files look like images"] if len(images) > _SHOWN else []
        raise DatasetError([*images[:_SHOWN], *more])
    try:
        found = classes_of(described)
    except ClassesDiffer as error:
        raise DatasetError([f"{source}: {error}; {_DECLARE}"]) from None
    if not found.values:
        raise DatasetError(
            problems_of(described)
            or [
                f"{source}: no label file holds a value beside 0; "
                f"declare the labels in a {FILE_NAME} there, or check the label files"
            ]
        )
    _require_no_smoothing(files, found.values, source)
    empty = tuple(f"{source}: segment {name!r} has no voxel in any label file; it is no class" for name in found.empty)
    return labels_of({"background": 0} | found.values, source), (*empty, *_white_for_one(described, found, source))
