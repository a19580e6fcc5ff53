"""Reads the column `annotated` of a table: the names of the classes that were looked for in a case."""

from __future__ import annotations

import re
from difflib import get_close_matches

from autoseg.dataset.csv_rows import NOTHING
from autoseg.image.annotated_classes import EVERY, AnnotatedClasses
from autoseg.image.labels import Labels
from autoseg.image.segmentation import BACKGROUND, find_class, folded
from autoseg.names import listed, nfc

_SEPARATORS = "+,;"
_NEXT = re.compile(f"[{re.escape(_SEPARATORS)}]")


class WrongNames(ValueError):
    """A cell names no class of the data set; the text says which name is wrong, and what to write instead."""


def annotated_classes(text: str, labels: Labels) -> AnnotatedClasses:
    """The classes that a cell names, in the order of the data set; all of them where the cell is empty.

    Names are joined by one of `+`, `,` and `;`. A name may itself contain one: the longest name that fits is taken.
    Upper and lower case do not matter where they tell no classes apart.

    Args:
        text: text of the cell.
        labels: classes and regions of the data set.

    Raises:
        WrongNames: a name is that of no class, or of a region of several labels, or only the background is named.

    Examples:
        >>> labels = Labels(values=(0, 1, 2, 3), names=("background", "liver", "spleen", "bile + duct"))
        >>> annotated_classes("Spleen, bile + duct", labels)
        ('spleen', 'bile + duct')
        >>> annotated_classes("liver+spleen+bile + duct", labels), annotated_classes("", labels)
        ('all', 'all')
    """
    if not text.strip():
        return EVERY
    classes = {name: value for name, value in zip(labels.names, labels.values, strict=True) if value}
    if text.strip().casefold() in NOTHING and find_class(nfc(text.strip()), classes) is None:
        raise WrongNames(
            f"{text.strip()!r} means that nobody looked for any class; such a case teaches nothing: delete the line. "
            "An empty cell means that all classes were looked for"
        )
    named = {_class_of(name, classes, labels) for name in _names(nfc(text), labels.names)}
    found = tuple(name for name in classes if name in named)
    if not found:
        raise WrongNames(
            f"{text!r} names no class beside the background; leave out a case in which no class was looked for"
        )
    return EVERY if len(found) == len(classes) else found


def _names(text: str, known: tuple[str, ...]) -> list[str]:
    """The names in a cell, split at separators that lie in no known name."""
    longest_first, found, rest = sorted(map(nfc, known), key=len, reverse=True), [], text.strip()
    while rest:
        whole = [name for name in longest_first if rest.startswith(name) and _ends(rest[len(name) :])]
        name = whole[0] if whole else _NEXT.split(rest, maxsplit=1)[0]
        found.append(name.strip())
        rest = rest[len(name) :].strip().removeprefix(rest[len(name) :].strip()[:1]).strip()
    return [name for name in found if name]


def _ends(rest: str) -> bool:
    return not rest.strip() or rest.strip()[0] in _SEPARATORS


def _class_of(name: str, classes: dict[str, int], labels: Labels) -> str:
    """The class that a name means; the background is one that is always annotated."""
    if (found := find_class(name, classes)) is not None:
        return found
    if folded(name) in (BACKGROUND, folded(labels.names[0])):
        return labels.names[0]
    of_region = {region.name: region.values for region in labels.regions}
    if (region := find_class(name, dict.fromkeys(of_region, 0))) is not None:
        members = [repr(labels.names[labels.values.index(value)]) for value in of_region[region]]
        raise WrongNames(
            f"{name!r} is a region of several labels; name the labels that were looked for: {', '.join(members)}"
        )
    by_fold = {folded(one): one for one in classes}
    near = [repr(by_fold[one]) for one in get_close_matches(folded(name), by_fold, n=3, cutoff=0.5)]
    meant = f"is {' or '.join(near)} meant? There are " if near else "there are "
    raise WrongNames(
        f"no class is called {name!r}; {meant}{listed(classes)}. Join several by +, and leave the cell empty where all "
        "were looked for; a column of anything else needs another name"
    )
