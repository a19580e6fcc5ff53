"""Checks that all layouts share once their cases are listed: unsafe names, duplicates, shared files."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autoseg.dataset.case import Case
from autoseg.dataset.names import entries, split_ending
from autoseg.image.file_kind import why_unreadable
from autoseg.image.walk import LeftOut
from autoseg.names import nfc, same_name, why_unsafe

MOST_NAMED = 5
"""So many of several alike cases are named in a message."""


@dataclass(frozen=True)
class Found:
    """A case and the place where it was found, such as "cases.csv, line 7", for messages."""

    case: Case
    where: str


def checked_cases(found: Sequence[Found], *, training: bool = True) -> tuple[Case, ...]:
    """Add problems to the cases: unsafe names, duplicates and, in training, files that several cases share.

    If a problem concerns several cases, all but the first of them get it.
    """
    problems: dict[int, list[str]] = {i: list(item.case.problems) for i, item in enumerate(found)}
    for i, item in enumerate(found):
        if reason := why_unsafe(item.case.name):
            problems[i].append(
                f"{item.where}: the name {item.case.name!r} {reason}; files will bear it, rename the case"
            )
    for same in _groups((same_name(item.case.name), i) for i, item in enumerate(found)):
        _add(problems, same, _duplicate([found[i] for i in same]))
    if training:
        for same in _groups((file, i) for i, item in enumerate(found) for file in _images(item.case)):
            _add(problems, same, _shared([found[i] for i in same], "image"))
        for same in _groups((item.case.label, i) for i, item in enumerate(found) if item.case.label is not None):
            _add(problems, same, _shared([found[i] for i in same], "label"))
    return tuple(replace(item.case, problems=tuple(problems[i])) for i, item in enumerate(found))


def missing(file: Path | None, where: str) -> list[str]:
    """Return a problem if a file does not exist or cannot be opened, otherwise an empty list."""
    if file is None or (why := why_unreadable(file)) is None:
        return []
    return [f"{'missing' if why.endswith('not exist') else 'unreadable'} file: {where}: {file} {why}"]


def unlisted(found: Sequence[Found], why: str) -> list[LeftOut]:
    """Image files in the folders of the cases' images and label maps that no case names.

    Args:
        found: the cases that a file lists.
        why: why such a file is not used, as the end of a sentence.
    """
    files = {file for item in found for file in (*item.case.images, item.case.label) if file is not None}
    listed = set(map(_plain, files))
    parents = {file.parent for file in files}
    folders = sorted(parent for parent in parents if why_unreadable(parent) is None and parent.is_dir())
    beside = [entry for folder in folders for entry in entries(folder) if split_ending(entry)[1]]
    return [LeftOut(entry, why) for entry in beside if _plain(entry) not in listed]


def _plain(path: Path) -> str:
    """An absolute path without `..`."""
    return os.path.normpath(path.absolute())


def _add(problems: dict[int, list[str]], same: list[int], problem: str | None) -> None:
    for i in same[1:]:
        if problem is not None:
            problems[i].append(problem)


def _duplicate(same: list[Found]) -> str:
    spellings = sorted({item.case.name for item in same})
    places = _first([item.where for item in same], " and ")
    if len(spellings) == 1:
        return f"duplicate case: found in {places}; remove or rename all but one"
    alike = "upper and lower case" if len({*map(nfc, spellings)}) > 1 else "how their accents are stored (Unicode)"
    return f"duplicate case: {_first(spellings, ' and ')} differ only in {alike} ({places}); rename one"


def _shared(same: list[Found], kind: str) -> str | None:
    patients = {item.case.patient for item in same}
    # an image that is annotated twice may be used if both cases are of one patient and so stay in one fold
    sound = kind == "image" and len(patients) == 1 and None not in patients
    if sound or len({same_name(item.case.name) for item in same}) == 1:
        return None
    names = _first([item.case.name for item in same], ", ")
    return f"duplicate case: {names} have the same {kind} file ({same[-1].where})"


def _first(names: Sequence[str], joint: str) -> str:
    """The first names, and how many there are beside: each of many alike cases tells of all of them."""
    more = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    return joint.join([*names[:MOST_NAMED], *more])


def _real(image: Path) -> Path:
    try:
        return image.resolve()
    except (OSError, RuntimeError, ValueError):
        # a link in a loop, or no path at all, which is told as such
        return image.absolute()


def _images(case: Case) -> set[Path]:
    return {_real(image) for image in case.images if image is not None}


def _groups(keyed: Iterable[tuple[Hashable, int]]) -> list[list[int]]:
    """Groups of two or more indices with the same key."""
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for key, i in keyed:
        groups[key].append(i)
    return [group for group in groups.values() if len(group) > 1]
