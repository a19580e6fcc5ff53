"""Pairs the images of a folder with its label maps, in the ways in which people lay them out.

By name: `images/p01.nii.gz` and `labels/p01.nii.gz`, `p01.nii.gz` beside `p01_seg.nii.gz`, `p01/T1.nii.gz` and
`p01/seg.nii.gz`. By number, as nnU-Net counts channels: `p01_0000.nii.gz`, `p01_0001.nii.gz`. By folder, where each
holds one label map: `p01/axial.nii.gz`, `p01/annotated.seg.nrrd`. By the beginning of the name: `p01_axial.nii.gz` and
`p01_seg.nii.gz`. The first way in which every label map finds an image is taken.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from autoseg.dataset.folder.account import Entry
from autoseg.dataset.folder.parts import Part
from autoseg.dataset.names import split_channel

ONLY = "image"
"""Name of the sequence where a case has a single image and its name tells none."""

_LEAST_SHARE = 0.5
# more cases in each top folder than this are those of a site rather than of a patient
_MOST_CASES_OF_A_PATIENT = 6

Pairing = Callable[[list[Part], list[Part]], "list[Entry] | None"]


def pair(parts: Sequence[Part]) -> list[Entry] | None:
    """Return an entry for each image and label map, or None where no way pairs every label map with an image."""
    images, labels = [part for part in parts if not part.is_label], [part for part in parts if part.is_label]
    if not images or not labels:
        return None
    ways: tuple[Pairing, ...] = (_by_name, _by_number, _by_folder, _by_beginning)
    for way in ways:
        if (entries := way(images, labels)) is not None:
            return _with_patients(entries)
    return None


def unpaired(parts: Sequence[Part]) -> list[Entry]:
    """Return an entry for each image of a folder without label maps, by name, or by number where all have numbers."""
    images = list(parts)
    return _with_patients(_by_number(images, []) or _by_name(images, []) or [])


def _by_name(images: list[Part], labels: list[Part]) -> list[Entry] | None:
    keys = {part.key for part in images}
    if any(part.key not in keys for part in labels):
        return None
    return [_entry(part, _name(part), part.sequence or ONLY) for part in (*images, *labels)]


def _by_number(images: list[Part], labels: list[Part]) -> list[Entry] | None:
    numbered = []
    for part in images:
        if (split := split_channel(part.rest)) is None:
            return None
        numbered.append(replace(part, rest=split[0], sequence=part.sequence or f"channel {split[1]}"))
    return _by_name(numbered, labels)


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
    return all(count >= _LEAST_SHARE * cases for count in times.values())


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
    # a folder for each patient holds one for each visit
    patient = part.folders[0] if len(part.folders) > 1 or (part.folders and case != part.folders[0]) else None
    return Entry(part.path, case, "" if part.is_label else sequence, patient, part.is_label)


def _with_patients(entries: list[Entry]) -> list[Entry]:
    """Take the top folders for patients only where each has a few cases; those of a site have many."""
    cases: defaultdict[str | None, set[str]] = defaultdict(set)
    for entry in entries:
        cases[entry.patient].add(entry.case)
    largest = max((len(names) for patient, names in cases.items() if patient is not None), default=0)
    if largest <= _MOST_CASES_OF_A_PATIENT:
        return entries
    return [replace(entry, patient=None) for entry in entries]
