"""Pairs the images of a folder with its label maps, in the ways in which people lay them out.

By name: `images/p01.nii.gz` and `labels/p01.nii.gz`, `p01.nii.gz` beside `p01_seg.nii.gz`, `p01/T1.nii.gz` and
`p01/seg.nii.gz`. By number, as nnU-Net counts channels: `p01_0000.nii.gz`, `p01_0001.nii.gz`. By folder, where each
holds one label map: `p01/axial.nii.gz`, `p01/annotated.seg.nrrd`. By the beginning of the name: `p01_axial.nii.gz` and
`p01_seg.nii.gz`. The first way in which every label map finds an image is taken.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

from autoseg.dataset.folder.account import Entry
from autoseg.dataset.folder.parts import Part
from autoseg.dataset.folder.patients import is_a_visit
from autoseg.dataset.names import split_channel

ONLY = "image"
"""Name of the sequence where a case has a single image and its name tells none."""

_LEAST_SHARE, _LEAST_CASES = 0.5, 2
"""Words that are no known sequence become one where more than this share of the cases have them, and so many."""

Pairing = Callable[[list[Part], list[Part]], "list[Entry] | None"]


def pair(parts: Sequence[Part]) -> list[Entry] | None:
    """Return an entry for each image and label map, or None where no way pairs every label map with an image."""
    images, labels = [part for part in parts if not part.is_label], [part for part in parts if part.is_label]
    if not images or not labels:
        return None
    ways: tuple[Pairing, ...] = (_by_name, _by_number, _by_folder, _by_beginning)
    return next((entries for way in ways if (entries := way(images, labels)) is not None), None)


def unpaired(parts: Sequence[Part]) -> list[Entry]:
    """Return an entry for each image of a folder without label maps, by number where these are channels, or by name."""
    images = list(parts)
    return _by_number(images, []) or _by_name(images, []) or []


def same_names(parts: Sequence[Part]) -> tuple[str, str] | None:
    """Two folders that hold images of the same names, of which one may hold the label maps; None where none are."""
    names: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for part in parts:
        if part.folders and part.rest and not part.sequence:
            names[part.folders[0]].add((*part.folders[1:], part.rest))
    folders = [folder for folder, inside in names.items() if len(inside) > 1]
    return next(((a, b) for a, b in combinations(folders, 2) if names[a] == names[b]), None)


def doubtful_words(parts: Sequence[Part]) -> set[str]:
    """Words that may be sequences or parts of names: those of images of which no case has two.

    `PD_001` and `HC_002` may be a sequence and none, or two groups of patients.
    """
    sequences: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for part in parts:
        if not part.is_label:
            sequences[part.key].add(part.sequence)
            if part.folders:
                # a folder may be a case, whose images have further words in their names
                sequences[part.folders].add(part.sequence)
    found = set().union(*sequences.values())
    return found - {""} if len(found) > 1 and all(len(of_case) == 1 for of_case in sequences.values()) else set()


def _by_name(images: list[Part], labels: list[Part]) -> list[Entry] | None:
    names: dict[tuple[str, ...], str] = {}
    for part in images:
        names.setdefault(part.key, _name(part))
    annotated = {part.key for part in labels}
    left = [part for part in images if part.key not in annotated]
    if any(part.key not in names for part in labels) or _belong_to_cases(left, labels):
        return None
    return [_entry(part, names[part.key], part.sequence or ONLY) for part in (*images, *labels)]


def _belong_to_cases(left: list[Part], labels: list[Part]) -> bool:
    """Whether images without a label map lie in the folders of cases, or begin with the words of half of the cases."""
    of_cases = {part.folders for part in labels if part.folders}
    if len(of_cases) > 1 and any(part.folders in of_cases for part in left):
        return True
    alike = {first_word(part.rest) for part in left} & {first_word(part.rest) for part in labels} - {""}
    return len(alike) > _LEAST_SHARE * len({first_word(part.rest) for part in labels})


def first_word(name: str) -> str:
    """The letters and digits that a name begins with, in lower case."""
    match = re.match(r"[^\W_]+", name)
    return match.group().casefold() if match else ""


def _by_number(images: list[Part], labels: list[Part]) -> list[Entry] | None:
    numbered, numbers = [], defaultdict[tuple[str, ...], set[int]](set)
    for part in images:
        if (split := split_channel(part.rest)) is None:
            return None
        numbered.append(replace(part, rest=split[0], sequence=part.sequence or f"channel {split[1]}"))
        numbers[numbered[-1].key].add(split[1])
    # channels are counted from 0, cases may be counted from anywhere
    return _by_name(numbered, labels) if all(0 in of_case for of_case in numbers.values()) else None


def _by_folder(images: list[Part], labels: list[Part]) -> list[Entry] | None:
    of_label = Counter(part.folders for part in labels)
    of_image = Counter(part.folders for part in images)
    if len(of_label) < 2 or any(folders not in of_image or times > 1 for folders, times in of_label.items()):
        return None
    entries = [_entry(part, "_".join(part.folders), "") for part in labels]
    for part in images:
        own = _without_folders(part.rest, part.folders)
        sequence = part.sequence or (ONLY if of_image[part.folders] == 1 else own)
        entries.append(_entry(part, "_".join(part.folders), sequence or ONLY))
    return entries if _usual(entries, len(of_label)) else None


def _by_beginning(images: list[Part], labels: list[Part]) -> list[Entry] | None:
    names = {part.key: _name(part) for part in labels}
    alone = [part for part in images if not any(_begins(part.key, key) for key in names)]
    if _belong_to_cases(alone, labels):
        return None
    entries = [_entry(part, _name(part), "") for part in labels]
    met = set()
    for part in images:
        found = [key for key in names if _begins(part.key, key)]
        if not found:
            entries.append(_entry(part, _name(part), part.sequence or ONLY))
            continue
        key = max(found, key=lambda one: len(one[-1]))
        met.add(key)
        own = part.rest[len(key[-1]) :].strip("_-. ")
        if own[:1].isdigit() or is_a_visit(own):
            # a second visit or the other side, whose label map is missing, is no sequence
            return None
        entries.append(_entry(part, names[key], "_".join(text for text in (part.sequence, own) if text) or ONLY))
    return entries if met == set(names) and _usual(entries, len(names)) else None


def _begins(key: tuple[str, ...], label: tuple[str, ...]) -> bool:
    """Whether an image's key is a label map's, or goes on after it with a new word."""
    if not label or len(key) != len(label) or key[:-1] != label[:-1]:
        return False
    return key == label or (key[-1].startswith(label[-1]) and not key[-1][len(label[-1])].isalnum())


def _usual(entries: Sequence[Entry], cases: int) -> bool:
    """Whether the names that became sequences occur in half of the cases, as sequences do and other names do not."""
    times = Counter(entry.sequence for entry in entries if not entry.is_label)
    return all(count > _LEAST_SHARE * cases and count >= min(_LEAST_CASES, cases) for count in times.values())


def _without_folders(rest: str, folders: tuple[str, ...]) -> str:
    """A name without the names of its folders, as `p01_axial` in the folder `p01`."""
    for text in folders:
        if rest.casefold().startswith(text.casefold()):
            rest = rest[len(text) :].strip("_-. ")
    return rest


def _name(part: Part) -> str:
    """The case's name: folders and name, or the name alone where it repeats the folder's."""
    if part.folders and part.rest.casefold() == part.folders[-1].casefold():
        return "_".join(part.folders)
    return "_".join(text for text in (*part.folders, part.rest) if text)


def _entry(part: Part, case: str, sequence: str) -> Entry:
    # a folder for each patient may hold one for each visit
    above = part.folders if part.rest and case != "_".join(part.folders) else part.folders[:-1]
    return Entry(part.path, case, "" if part.is_label else sequence, "_".join(above) or None, part.is_label)
