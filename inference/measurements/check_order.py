"""The order in which a person should check predictions, and the reasons in words.

A case is worth checking the sooner, the less the members agree on the class on which they agree least. A class that is
absent, though every training case has it, counts as no agreement. A note on the case, such as that the image is unlike
the training cases, counts as much as `OF_A_NOTE` of agreement. A case without any of these is not listed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.names import listed, visible
from inference.measurements.table import Line, read_lines

OF_A_NOTE = 0.25
"""How much less the members would have to agree for a case to come as early as by a note. A rule of thumb."""

WELL_AGREED = 0.9
"""A case without a note on which the members agree this much is not named."""

MOST_CASES = 5
"""So many cases are named; `measurements.csv` has all."""

MOST_ABSENT = 3
"""So many absent classes of a case are named; the others are counted."""

BORDER = "the region's border is reached"
UNLIKE = "unlike the training cases"


@dataclass(frozen=True)
class Reason:
    """Why a case is to be checked.

    Args:
        case: name of the case.
        trust: from 1 downwards: the smaller, the sooner it is to be checked.
        words: the reasons, each a part of a sentence.
    """

    case: str
    trust: float
    words: tuple[str, ...]


def always_there(fingerprint: Fingerprint) -> frozenset[str]:
    """Names of the classes that every training case has in which they were looked for."""
    found = set()
    for name in fingerprint.labels.foreground:
        of_cases = [case.classes.get(name) for case in fingerprint.cases if case.is_known(name)]
        if of_cases and all(one is not None and one.volume_mm3 > 0 for one in of_cases):
            found.add(name)
    return frozenset(found)


def check_order(lines: Sequence[Line], always: Collection[str]) -> list[Reason]:
    """Cases that have a reason to be checked, those to be checked first at the beginning.

    Args:
        lines: what is known of each class of each case.
        always: names of the classes that every training case has.
    """
    by_case: dict[str, list[Line]] = {}
    for line in lines:
        by_case.setdefault(line.case, []).append(line)
    found = [_reason(case, of_case, always) for case, of_case in by_case.items()]
    return sorted((one for one in found if one.words), key=lambda one: (one.trust, one.case))


def in_words(order: Sequence[Reason]) -> str | None:
    """A sentence that names the cases to check first; None where no case has a reason."""
    first = [one for one in order if one.trust < WELL_AGREED][:MOST_CASES]
    if not first:
        return "Check first: no case stands out" if order else None
    return "Check first: " + ", ".join(f"{visible(one.case)} ({'; '.join(one.words)})" for one in first)


def tell_order(output: Path, cases: Collection[str], fingerprint: Fingerprint, console: Console) -> None:
    """Print which cases should be checked first, and why.

    Args:
        output: folder of the predictions, with `measurements.csv`.
        cases: names of the cases that are looked at.
        fingerprint: properties of the training cases.
        console: prints the sentence.
    """
    lines = [line for line in read_lines(output) if line.case in cases]
    told = in_words(check_order(lines, always_there(fingerprint)))
    if told is not None:
        console.print(told, soft_wrap=True, highlight=False, markup=False)


def _reason(case: str, lines: Sequence[Line], always: Collection[str]) -> Reason:
    absent = [line.class_name for line in lines if line.voxels == 0 and line.class_name in always]
    known = [(line.agreement, line.class_name) for line in lines if line.agreement is not None]
    # an image of another body part may lack a hundred classes
    words = [f"no {listed(absent, MOST_ABSENT)}, which every training case has"] if absent else []
    trust = 1.0
    if known:
        lowest, name = min(known)
        trust = lowest
        words.append(f"folds agree {lowest:.2f} on {name}")
    if absent:
        trust = 0.0
    # a note begins with its kind, and tells more after a colon
    kinds = dict.fromkeys(note.partition(": ")[0] for line in lines for note in line.notes)
    return Reason(case, trust - OF_A_NOTE * len(kinds), (*words, *kinds))
