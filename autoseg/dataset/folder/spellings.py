"""Tells where one sequence has files of different names, which may be different sequences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from autoseg.dataset.folder.account import FoundCase
from autoseg.dataset.names import split_ending

_WORD = re.compile(r"[^\W\d_]+[^\W_]*")
_SHOWN = 3


def names_that_differ(cases: Sequence[FoundCase]) -> tuple[str, ...]:
    """A sentence for each sequence whose files have other words in some cases than in others.

    Args:
        cases: cases of a folder.
    """
    spellings: dict[str, Counter[str]] = {}
    for case in cases:
        own = {word.casefold() for word in _WORD.findall(case.name)}
        for sequence, path in case.images.items():
            name = path.name if path.is_dir() else split_ending(path)[0]
            words = [word.casefold() for word in _WORD.findall(name)]
            # the name of the case is in its files, whole or with more letters
            words = [word for word in words if word not in own and word not in case.name.casefold()]
            spellings.setdefault(sequence, Counter())["_".join(words) or "(no word)"] += 1
    return tuple(
        f"{sequence} has files of different names: {_counted(found)}; if these are different sequences, write a table"
        for sequence, found in spellings.items()
        if len(found) > 1
    )


def _counted(found: Counter[str]) -> str:
    more = f" and {len(found) - _SHOWN} other names" if len(found) > _SHOWN else ""
    return ", ".join(f"{name} in {count}" for name, count in found.most_common(_SHOWN)) + more
