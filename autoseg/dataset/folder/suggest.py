"""Suggests the patterns of `autoseg table` for a folder whose names were not understood, from these names."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from autoseg.dataset.folder.parts import parts_of
from autoseg.dataset.folder.words import IMAGE_FOLDERS, LABEL_FOLDERS
from autoseg.dataset.names import split_ending


def suggested(folder: Path, paths: Sequence[Path]) -> tuple[str, str]:
    """Patterns of the images and of the label maps, as far as the names tell them.

    Args:
        folder: folder that was looked through.
        paths: its images and label maps.
    """
    parts = parts_of(folder, paths)
    labels = [part.path for part in parts if part.is_label or part.perhaps_label]
    images = [part for part in parts if not (part.is_label or part.perhaps_label)]
    several = any(part.sequence for part in images)
    of_images, of_labels = _usual(folder, paths)
    return (
        _pattern(folder, [part.path for part in images], "{case}_{sequence}" if several else "{case}") or of_images,
        _pattern(folder, labels, "{case}") or of_labels,
    )


def _pattern(folder: Path, paths: Sequence[Path], field: str) -> str:
    """The pattern that files of one folder, or of a folder for each case, have in common; empty where there is none."""
    names = [path.relative_to(folder).as_posix() for path in paths]
    parents, endings = {path.parent for path in paths}, {split_ending(path)[1] for path in paths}
    if len(names) < 2 or len(endings) > 1 or any(set(name) & set("{}*") for name in names):
        return ""
    if len(parents) == 1:
        above = paths[0].relative_to(folder).parent.as_posix()
        before, after = _around([split_ending(path)[0] for path in paths]) if field == "{case}" else ("", "")
        return ("" if above == "." else f"{above}/") + before + field + after + endings.pop()
    inside = sorted({name.partition("/")[2] for name in names})
    if not all(inside):
        return ""
    if len(inside) == 1:
        return f"{{case}}/{inside[0]}"
    if field == "{case}" or len(inside) == len(names):
        return ""
    before, after = _around(inside)
    return f"{{case}}/{before}{{sequence}}{after}"


def _around(names: Sequence[str]) -> tuple[str, str]:
    """What all names begin and end with, up to whole words; numbers are of the cases."""
    before = _common_begin(names).rstrip(string.digits)
    if not all(name[len(before) : len(before) + 1].isdigit() for name in names):
        before = re.sub(r"[^\W_]+$", "", before)
    rest = [name[len(before) :] for name in names]
    after = _common_begin([name[::-1] for name in rest])[::-1].lstrip(string.digits)
    return before, re.sub(r"^[^\W_]+", "", after)


def _common_begin(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    same = (a == b for a, b in zip(first, last, strict=False))
    return first[: sum(takewhile(bool, same))]


def _usual(folder: Path, paths: Sequence[Path]) -> tuple[str, str]:
    """Patterns with the folder's own names, where files have nothing else in common."""
    above = list(dict.fromkeys(path.relative_to(folder).parts[0] for path in paths if path.parent != folder))
    endings = Counter(split_ending(path)[1] for path in paths if not path.is_dir())
    ending = next((ending for ending, _ in endings.most_common() if ending), ".nii.gz")
    if not above:
        return f"{{case}}_{{sequence}}{ending}", f"{{case}}_seg{ending}"
    images = next((name for name in above if name.lower() in IMAGE_FOLDERS), "scans")
    labels = next((name for name in above if name.lower() in LABEL_FOLDERS), "masks")
    return f"{images}/{{case}}_{{sequence}}{ending}", f"{labels}/{{case}}{ending}"
