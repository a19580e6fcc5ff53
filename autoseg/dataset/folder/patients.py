"""Decides whether the folders above the cases are patients with several visits, or sites with many patients."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from autoseg.dataset.folder.account import FoundCase

LEAST_PATIENTS, FEW_VISITS = 5, 3
"""Folders are patients where there are so many of them, or where half of them hold no more cases than this."""

MOST_VISITS = 6
"""More cases whose names differ in a number that may be a date are counted by it."""

_SHOWN = 4
_DATE = r"(19|20)\d{2}([-_.]?(0[1-9]|1[0-2])([-_.]?(0[1-9]|[12]\d|3[01]))?)?"
_VISIT = (
    rf"({_DATE}|v\d+|visit[-_ ]?\d*|pre|post|preop|postop|fu\d*|follow[-_ ]?up\d*|baseline|bl|tp\d+|t\d+m"
    r"|l|r|left|right|re|li)"
)
_AT_THE_END = re.compile(rf"(.*[^\W_])[-_. ]+{_VISIT}", re.IGNORECASE)


def folders_are_patients(cases: Sequence[FoundCase]) -> bool:
    """Whether the folders that the cases have for patients are patients.

    In doubt they are: cases of one patient in training and validation are worse than few folds.

    Args:
        cases: all cases, with the folders above them as patients.
    """
    sizes = _sizes(cases)
    return len(sizes) >= LEAST_PATIENTS or (len(sizes) > 1 and median(sizes.values()) <= FEW_VISITS)


def note_on_folders(cases: Sequence[FoundCase], *, are_patients: bool) -> str:
    """A sentence that says what the folders were taken for.

    Args:
        cases: all cases, with the folders above them as patients; one has one at least.
        are_patients: whether they are patients.
    """
    sizes = _sizes(cases)
    names = ", ".join(list(sizes)[:_SHOWN]) + (" …" if len(sizes) > _SHOWN else "")
    held = f"{min(sizes.values())} to {max(sizes.values())} cases each" if len(sizes) > 1 else f"{len(cases)} cases"
    if are_patients:
        return f"the folders {names} ({held}) are taken for patients, whose cases stay in one fold"
    return (
        f"the folders {names} ({held}) are taken for groups, and every case for another patient; if that is wrong, "
        "write a table with `autoseg table` and give it a column `patient`"
    )


def is_a_visit(text: str) -> bool:
    """Whether the first word of a text is a date, a visit or a side of the body, which tell no sequence."""
    return re.fullmatch(_VISIT, re.split(r"[_ ]", text)[0], re.IGNORECASE) is not None


def with_visits(cases: Sequence[FoundCase]) -> tuple[tuple[FoundCase, ...], tuple[str, ...]]:
    """Give one patient to cases whose names differ in a date, a visit or a side alone, such as `p1_pre` and `p1_post`.

    Args:
        cases: cases, none of which has a patient.

    Returns:
        The cases, and a sentence that says so; both unchanged and empty where no two names are alike.
    """
    several = visits([case.name for case in cases])
    if not several:
        return tuple(cases), ()
    patients = {name: _stem(name) for names in several for name in names}
    told = "cases whose names differ in a date, visit or side alone are taken for one patient's, such as "
    told += _shown(several)
    return tuple(replace(case, patient=patients.get(case.name, case.name)) for case in cases), (told,)


def visits(names: Sequence[str]) -> list[list[str]]:
    """Names that differ in a date, a visit or a side alone, together.

    Args:
        names: names of all cases.
    """
    of_stem: dict[str, list[str]] = {}
    for name in names:
        of_stem.setdefault(_stem(name).casefold(), []).append(name)
    # one stem for many cases is a word such as `knee_2001`, whose numbers count the cases
    return [alike for alike in of_stem.values() if 1 < len(alike) <= MOST_VISITS]


def note_on_visits(names: Sequence[str]) -> tuple[str, ...]:
    """A sentence on cases that may be of one patient by their names, where no patient is stated; or none."""
    several = visits(names)
    if not several:
        return ()
    return (
        f"names of cases differ in a date, visit or side alone, such as {_shown(several)}, and each counts as another "
        "patient's: if they are of one, say so in the column `patient` of a table (cases.csv), so that no patient is "
        "in training and validation at once",
    )


def _stem(name: str) -> str:
    """A name without a date, a visit or a side at its end."""
    match = _AT_THE_END.fullmatch(name)
    return match[1] if match else name


def _shown(several: Sequence[Sequence[str]]) -> str:
    return "; ".join(", ".join(names[:_SHOWN]) for names in several[:2])


def _sizes(cases: Sequence[FoundCase]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for case in cases:
        if case.patient is not None:
            sizes[case.patient] = sizes.get(case.patient, 0) + 1
    return sizes
