"""Finds the sequences of each patient and study among DICOM series by their descriptions, and makes a table of them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from autoseg.dataset.csv_rows import CASE, LABEL, PATIENT, path_for_table
from autoseg.dataset.dicom_folder import dicom_tree
from autoseg.errors import DatasetError, InputError
from autoseg.image.dicom.choice import Choice
from autoseg.image.dicom.tree import DicomTree, FoundSeries
from autoseg.image.walk import told_by_reason
from autoseg.names import listed

_NOT = re.compile(r"(?:^|\s+)not(?:\s+|$)", re.IGNORECASE)
_SHOWN = 5


@dataclass(frozen=True)
class SequencePattern:
    """What the series of a sequence are called.

    Args:
        text: the pattern as it was given, such as `*t1*sag* not *gd*`.
        wanted: pattern of the description, or number, of a series.
        unwanted: patterns that it must not fit.
    """

    text: str
    wanted: str
    unwanted: tuple[str, ...]

    def fits(self, found: FoundSeries) -> bool:
        """Whether a series is called so, in upper or lower case."""
        return Choice(series=self.wanted).fits_series(found.about) and not any(
            Choice(series=pattern).fits_series(found.about) for pattern in self.unwanted
        )


@dataclass(frozen=True)
class MatchedCase:
    """The series of one study of a patient.

    Args:
        name: name of the case.
        patient: a name for the patient, or its id where that was asked for.
        images: the series of each sequence that the study has.
    """

    name: str
    patient: str
    images: Mapping[str, FoundSeries]


@dataclass(frozen=True)
class Matching:
    """The cases of a folder of DICOM files, and what is not in them.

    Args:
        folder: folder whose DICOM files were matched, at any depth.
        sequences: names of the sequences, in order.
        cases: a case for each study that has one of the sequences.
        told: studies that lack a sequence, series that fit no pattern, and what is left out and why, one sentence each.
        problems: why no table can be made of it, one sentence for each series or sequence that fits twice.
    """

    folder: Path
    sequences: tuple[str, ...]
    cases: tuple[MatchedCase, ...]
    told: tuple[str, ...]
    problems: tuple[str, ...]


def patterns_of(texts: Sequence[str]) -> dict[str, list[SequencePattern]]:
    """Read patterns such as `T1=*t1*sag* not *gd*`; a sequence may have several.

    Raises:
        InputError: a text is no name and pattern, or the name is that of another column of a table.
    """
    patterns: dict[str, list[SequencePattern]] = {}
    for text in texts:
        name, _, pattern = (part.strip() for part in text.partition("="))
        wanted, *unwanted = _NOT.split(pattern)
        if not (name and wanted and all(unwanted)):
            raise InputError(f"--sequence {text!r}: must be a name and a pattern, such as T1='*t1*sag*'")
        if name.casefold() in (CASE, LABEL, PATIENT):
            raise InputError(f"--sequence {text!r}: {name} is another column of the table; choose another name")
        patterns.setdefault(name, []).append(SequencePattern(pattern, wanted, tuple(unwanted)))
    return patterns


def match_sequences(
    tree: DicomTree, patterns: Mapping[str, Sequence[SequencePattern]], *, by_patient: bool = False
) -> Matching:
    """Find the series of each sequence, by patient and study.

    Args:
        tree: the series of a folder.
        patterns: for each sequence, what its series are called; one of them suffices.
        by_patient: name cases and patients by the patient's id, where the files state one.
    """
    studies: defaultdict[tuple[str, str], list[FoundSeries]] = defaultdict(list)
    for found in tree.series:
        studies[found.patient, found.about.study].append(found)
    names = _names(studies, by_patient=by_patient)
    cases, problems = [], []
    lacking: defaultdict[str, list[str]] = defaultdict(list)
    unmatched: list[FoundSeries] = []
    without: list[str] = []
    for key, series in studies.items():
        fitting = {found: [name for name in patterns if _fits(found, patterns[name])] for found in series}
        unmatched += [found for found, fits in fitting.items() if not fits]
        by_sequence = {name: [found for found in series if name in fitting[found]] for name in patterns}
        name, patient = names[key]
        problems += _doubles(name, fitting, by_sequence, patterns)
        if not any(by_sequence.values()):
            without.append(name)
            continue
        cases.append(MatchedCase(name, patient, {one: found[0] for one, found in by_sequence.items() if found}))
        for one, matched in by_sequence.items():
            if not matched:
                lacking[one].append(name)
    told = [*tree.notes, *(f"without {one}: {listed(named, 2 * _SHOWN)}" for one, named in lacking.items())]
    if without:
        told.append(f"{listed(without, _SHOWN)}: no series fits any pattern, so that it is no case")
    told += _unmatched_told(unmatched)
    told += [f"left out {sentence}" for sentence in told_by_reason(tree.folder, (*tree.left_out, *tree.damaged))]
    return Matching(tree.folder, tuple(patterns), tuple(cases), tuple(told), tuple(problems))


def match_folder(folder: Path, sequences: Sequence[str], *, by_patient: bool = False) -> Matching:
    """Find the series of each sequence in a folder of DICOM files of any depth.

    Args:
        folder: folder of patients, studies and series.
        sequences: name and pattern of each sequence, such as `T1=*t1*sag*`.
        by_patient: name cases and patients by the patient's id, where the files state one.

    Raises:
        InputError: a pattern is malformed, or no series fits any.
        DatasetError: a series fits two sequences, or two series of a study fit one.
        ImageError: the folder cannot be read, or holds too many files.
    """
    patterns, tree = patterns_of(sequences), dicom_tree(folder)
    matching = match_sequences(tree, patterns, by_patient=by_patient)
    if matching.problems:
        raise DatasetError(list(matching.problems))
    if not matching.cases:
        there = listed(list(dict.fromkeys(str(found.about) for found in tree.series)), 2 * _SHOWN)
        raise InputError(f"{folder}: no DICOM series fits {' or '.join(sequences)}; there are {there or 'none'}")
    return matching


def rows_of(matching: Matching, beside: Path) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The header and rows of a `cases.csv`, in which the column of the label maps is left to fill in.

    Args:
        matching: the matched cases and their sequences, a row for each case.
        beside: folder of the table, to which its paths are relative.
    """
    rows = []
    for case in matching.cases:
        images = [case.images.get(name) for name in matching.sequences]
        cells = ("" if found is None else path_for_table(found.path, beside) for found in images)
        rows.append((case.name, *cells, "", case.patient))
    return (CASE, *matching.sequences, LABEL, PATIENT), rows


def _fits(found: FoundSeries, patterns: Sequence[SequencePattern]) -> bool:
    return any(pattern.fits(found) for pattern in patterns)


def _names(
    studies: Mapping[tuple[str, str], Sequence[FoundSeries]], *, by_patient: bool
) -> dict[tuple[str, str], tuple[str, str]]:
    """Name of the case and of the patient of each study, no name twice.

    Several studies of a patient are counted by their dates.
    """
    of_patient: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for key in sorted(studies, key=lambda key: studies[key][0].about.study_date):
        of_patient[key[0]].append(key)
    ids = {series[0].about.patient.casefold() for series in studies.values()} if by_patient else set()
    names: dict[tuple[str, str], tuple[str, str]] = {}
    taken: set[str] = set()
    for pseudonym, keys in of_patient.items():
        given = studies[keys[0]][0].about.patient if by_patient else ""
        # who states no id must not be taken for another, whose id is such a name
        patient = given or _unlike(pseudonym, ids)
        # what no file name may hold would be refused later
        whole = re.sub(r"[^\w.+-]+", "-", patient).strip(".-") or pseudonym
        for i, key in enumerate(keys):
            name = _unlike(whole + (f"_study_{i + 1}" if len(keys) > 1 else ""), taken)
            # some disks take names that differ in upper and lower case alone for one
            taken.add(name.casefold())
            names[key] = name, patient
    return names


def _unlike(name: str, taken: Collection[str]) -> str:
    """The name, with a number at its end where it is taken in upper or lower case."""
    numbered = (f"{name}_{n}" for n in count(2))
    return next(one for one in chain((name,), numbered) if one.casefold() not in taken)


def _doubles(
    case: str,
    fitting: Mapping[FoundSeries, Sequence[str]],
    by_sequence: Mapping[str, Sequence[FoundSeries]],
    patterns: Mapping[str, Sequence[SequencePattern]],
) -> list[str]:
    problems = []
    for name, found in by_sequence.items():
        if len(found) > 1:
            pattern, word = patterns[name][0].text, _word_that_tells(found)
            narrow = f"narrow the pattern, such as {name}='{pattern} not *{word}*', or " if word else ""
            problems.append(
                f"{case}: {name} fits {len(found)} series, {listed(map(str, found), _SHOWN)}; {narrow}move the files "
                "away that are not meant"
            )
    for one, names in fitting.items():
        if len(names) > 1:
            problems.append(
                f"{case}: {one} fits {' and '.join(names)}; narrow one of the patterns, such as "
                f"{names[0]}='{patterns[names[0]][0].text} not {patterns[names[-1]][0].wanted}'"
            )
    return problems


def _word_that_tells(found: Sequence[FoundSeries]) -> str:
    """A word that the last series has in its description and the first has not; empty where there is none."""
    words = [re.findall(r"[^\W_]+", one.about.description.casefold()) for one in (found[0], found[-1])]
    return next((word for word in words[1] if word not in words[0] and len(word) > 1), "")


def _unmatched_told(unmatched: Sequence[FoundSeries]) -> list[str]:
    """The series that fit no pattern, those of one description together."""
    by_description: defaultdict[str, list[FoundSeries]] = defaultdict(list)
    for found in unmatched:
        by_description[found.about.description or "no description"].append(found)
    return [
        f"fits no pattern: {description} ({len(series)} series, such as {series[0].folder})"
        for description, series in by_description.items()
    ]
