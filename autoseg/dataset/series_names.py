"""Names predictions of DICOM series by folder and series, so that no two have the same name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.dataset.names import split_ending
from autoseg.image.dicom.choice import Choice, place_and_choice
from autoseg.image.dicom.tree import FoundSeries
from autoseg.names import same_name

# what no file name may hold on some system, and blanks, which commands dislike
_REPLACED = re.compile(r'[/\\:*?"<>|&=\s\x00-\x1f]+')
_LONGEST = 120


@dataclass(frozen=True)
class SeriesName:
    """The name of a series, and what comes before it where several have that name.

    Args:
        own: its name by the folders below the one that was given.
        around: names of the folders around that one, outermost first.
    """

    own: str
    around: tuple[str, ...]

    def text(self, levels: int) -> str:
        """The name with so many of the folders around."""
        joined = "_".join([*self.around[len(self.around) - levels :], self.own])
        # of a long name the end tells more
        return joined.encode()[-_LONGEST:].decode(errors="ignore").lstrip(".- ") or "series"


def name_of(found: FoundSeries, path: Path, root: Path, *, by_patient: bool) -> SeriesName:
    """The name of a series.

    Args:
        found: DICOM series that gets the name.
        path: path that reads it, with what is chosen.
        root: folder that was given.
        by_patient: begin the name with the patient's id, where the files state one.
    """
    place, choice = place_and_choice(path)
    parts = list(found.folder.relative_to(root).parts)
    around = root.absolute().resolve().parts[1:]
    if place.is_file():
        parts.append(split_ending(place)[0])
    elif not parts:
        parts, around = [around[-1] if around else "images"], around[:-1]
    about = found.about
    if place_and_choice(found.path)[1].series is not None:
        parts[-1] += f"_series{about.number or about.description}"
    parts[-1] += name_of_choice(Choice(**(vars(choice) | {"series": None})))
    own = "_".join(([about.patient] if by_patient and about.patient else []) + parts)
    return SeriesName(cleaned(own), tuple(map(cleaned, around)))


def name_of_choice(choice: Choice) -> str:
    """What a choice adds to a name, such as `_echo4.92`; empty where nothing is chosen."""
    return "".join(f"_{part.replace('=', '')}" for part in choice.text().split("&") if part)


def unique(names: Sequence[SeriesName], taken: Collection[str]) -> list[str]:
    """Give each series a name of its own: with more of the folders around where several share one, at last a number.

    Args:
        names: names of the series.
        taken: names that other images have.
    """
    levels = [0] * len(names)
    others = {same_name(name) for name in taken}
    while True:
        texts = [name.text(level) for name, level in zip(names, levels, strict=True)]
        times = Counter(map(same_name, texts))
        shared = [i for i, text in enumerate(texts) if times[same_name(text)] > 1 or same_name(text) in others]
        longer = [i for i in shared if levels[i] < len(names[i].around)]
        if not longer:
            return _numbered(texts, set(shared), others)
        for i in longer:
            levels[i] += 1


def _numbered(texts: Sequence[str], shared: Collection[int], others: Collection[str]) -> list[str]:
    used = {same_name(text) for i, text in enumerate(texts) if i not in shared} | set(others)
    found = []
    for i, text in enumerate(texts):
        number, name = 1, text
        while i in shared and same_name(name) in used:
            number += 1
            name = f"{text}_{number}"
        used.add(same_name(name))
        found.append(name)
    return found


def cleaned(text: str) -> str:
    """A text in which signs that no file name should have are replaced by `-`."""
    return _REPLACED.sub("-", text).strip(".- ")
