"""Reads a data set from a table, `cases.csv`, with a row for each case.

Columns: `case`; one for each sequence (a path, absolute or relative to the table, empty where the sequence was
not acquired); `label`; optionally `patient`, `drawn_on`, and `annotated` (names of the classes that were looked for in
the case, empty where all were); all others are stratification columns. A `dataset.json`
beside it may give `name`, `channel_names` (which columns are sequences, in which order) and `labels`;
without `labels`, every value found in the label files is a class, or every name where they name their classes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autoseg.dataset.annotated_column import WrongNames, annotated_classes
from autoseg.dataset.case import Case, Dataset
from autoseg.dataset.csv_rows import ANNOTATED, CASE, LABEL, PATIENT, RESERVED, CsvTable, Row, read_table
from autoseg.dataset.dataset_json import FILE_NAME, Declaration, is_ct, labels_of, parse, read_json
from autoseg.dataset.drawn_on import drawn_on
from autoseg.dataset.folder.words import LABEL_FOLDERS, split_name
from autoseg.dataset.found_labels import labels_found
from autoseg.dataset.listing import Found, checked_cases, missing
from autoseg.dataset.names import split_ending
from autoseg.errors import DatasetError
from autoseg.image.annotated_classes import EVERY, AnnotatedClasses
from autoseg.image.labels import Labels
from autoseg.names import listed, same_name

_NAMED = 3

LEAST_PATIENTS = 5
"""A column with fewer values is hardly one of patients."""

_PARTS = frozenset(
    (
        *("train", "training", "tr", "trn", "val", "valid", "validation", "validate", "dev", "development"),
        *("test", "testing", "tst", "ts", "te", "holdout", "hold-out", "held out", "external"),
    )
)
_FOLDS = frozenset(("fold", "folds", "cv_fold", "split"))


def read_table_dataset(path: Path) -> Dataset:
    """Read a data set from its `cases.csv`; label files are opened only if no `dataset.json` declares the labels.

    Args:
        path: path of the `cases.csv`.

    Raises:
        DatasetError: the table or the `dataset.json` beside it is malformed.
    """
    declared = path.parent / FILE_NAME
    declaration = parse(Declaration, read_json(declared), declared) if declared.exists() else Declaration()
    return dataset_of_table(read_table(path), declaration)


def dataset_of_table(table: CsvTable, declaration: Declaration | None = None) -> Dataset:
    """Make a data set of the rows of a table; label files are opened only if no declaration gives the labels.

    Args:
        table: the rows, in memory.
        declaration: content of the `dataset.json` beside the table; None = there is none.

    Raises:
        DatasetError: a column is missing, or what is declared does not fit the table.
    """
    path, declaration = table.path, declaration or Declaration()
    declared = path.parent / FILE_NAME
    if LABEL not in table.columns:
        raise DatasetError([f"{path}, line 1: has no column `{LABEL}`; {_meant_by_label(table)}"])
    if table.rows and not any(table.text(row, LABEL) for row in table.rows):
        raise DatasetError(
            [f"{path}: column `{LABEL}` is empty in all {len(table.rows)} rows; fill in the path of each label map"]
        )
    channels = _channels(table, declaration)
    others = [column for column in table.columns if column not in (*RESERVED, *channels)]
    strata = [column for column in others if any(row.cells[column] for row in table.rows)]
    found = [Found(_case(table, row, channels, strata), table.where(row)) for row in table.rows]
    cases = checked_cases(found)
    labels, empty = (
        labels_found([case.label for case in cases if case.label is not None], path)
        if declaration.labels is None
        else (labels_of(declaration.labels, declared, declaration.regions_class_order), ())
    )
    if ANNOTATED in table.columns and ANNOTATED not in channels:
        cases = tuple(_annotated(case, table, row, labels) for case, row in zip(cases, table.rows, strict=True))
    first = next((image for case in cases for image in case.images if image is not None), None)
    return Dataset(
        name=declaration.name or path.absolute().parent.name,
        layout="table",
        channels=channels,
        ct=tuple(is_ct(channel) for channel in channels),
        labels=labels,
        cases=cases,
        file_ending=(split_ending(first)[1] if first else "") or ".nii.gz",
        folder=path.parent,
        problems=tuple(table.malformed.values()),
        warnings=(
            *table.notes,
            *_empty_columns(table, [column for column in others if column not in strata]),
            *_some_patients(table),
            *_alike_patients(table),
            *_other_sequences(table, channels),
            *_doubtful_columns(table, strata),
            *empty,
        ),
        description=declaration.description,
        synthetic=declaration.synthetic,
    )


def match_channels(columns: Sequence[str], channels: Sequence[str]) -> tuple[str | None, ...]:
    """For each channel, the column with its name, if need be in other cases or another Unicode form, or None."""
    by_fold = {same_name(column): column for column in columns if column not in RESERVED}
    return tuple(channel if channel in columns else by_fold.get(same_name(channel)) for channel in channels)


def _channels(table: CsvTable, declaration: Declaration) -> tuple[str, ...]:
    if declaration.channel_names is None:
        channels = table.sequence_columns()
        if not channels:
            raise DatasetError([f"{table.path}: no column names image files; add one for each sequence, such as `T1`"])
        return channels
    missing = [name for name in declaration.channel_names if name not in table.columns]
    if missing:
        raise DatasetError(
            [
                f"{table.path}, line 1: has no column {name!r}, which {FILE_NAME} declares in channel_names"
                for name in missing
            ]
        )
    return declaration.channel_names


def _case(table: CsvTable, row: Row, channels: tuple[str, ...], strata: list[str]) -> Case:
    images = tuple(table.file(row, channel) for channel in channels)
    named = zip((*channels, LABEL), (*images, table.file(row, LABEL)), strict=True)
    problems = [text for column, file in named for text in missing(file, table.where(row, column))]
    if not row.cells[CASE]:
        problems.append(f"{table.where(row, CASE)}: is empty, each case needs a name")
    given = [image for image in images if image is not None]
    if len(set(given)) < len(given):
        problems.append(f"{table.where(row)}: two sequences name the same file")
    if table.file(row, LABEL) in given:
        problems.append(f"{table.where(row)}: a sequence names the file of the label map")
    if table.file(row, LABEL) is None:
        problems.append(f"missing file: {table.where(row, LABEL)}: is empty, training needs a label map")
    if not given:
        problems.append(f"missing file: {table.where(row)}: names no image")
    sequence, wrong = drawn_on(table, row, channels, images)
    return Case(
        name=table.case_name(row),
        images=images,
        label=table.file(row, LABEL),
        patient=table.text(row, PATIENT) or None,
        strata={column: table.text(row, column) for column in strata},
        drawn_on=sequence,
        problems=(*problems, *wrong),
    )


def _meant_by_label(table: CsvTable) -> str:
    """What to do where a table has no column of label maps."""
    alike = [column for column in table.columns if column.casefold() in LABEL_FOLDERS]
    if alike:
        return f"is {' or '.join(map(repr, alike))} the column `{LABEL}`? Rename it"
    return "training needs a label map for each case"


def _empty_columns(table: CsvTable, empty: list[str]) -> tuple[str, ...]:
    return tuple(
        f"{table.path}: column {column!r} is empty: a sequence that no case has? It is passed over" for column in empty
    )


def _some_patients(table: CsvTable) -> tuple[str, ...]:
    """A warning where the column of patients is filled in some rows alone."""
    without = [row for row in table.rows if not table.text(row, PATIENT)]
    if PATIENT not in table.columns or not 0 < len(without) < len(table.rows):
        return ()
    return (
        f"{table.path}: column `{PATIENT}` is empty in {len(without)} of {len(table.rows)} cases, such as "
        f"{table.case_name(without[0])}; each of them is taken for another patient. Fill it in, so that no patient is "
        "in training and validation at once",
    )


def _alike_patients(table: CsvTable) -> tuple[str, ...]:
    """A warning where the names of patients differ in their spelling alone."""
    spellings: defaultdict[str, set[str]] = defaultdict(set)
    for row in table.rows:
        if patient := table.text(row, PATIENT):
            spellings[same_name(patient)].add(patient)
    alike = [" and ".join(sorted(found)) for found in spellings.values() if len(found) > 1]
    if not alike:
        return ()
    return (
        f"{table.path}: column `{PATIENT}`: {listed(alike)} differ in upper and lower case or accents alone, and count "
        "as different patients; if they are one, write them alike, so that no patient is in training and validation at "
        "once",
    )


def _other_sequences(table: CsvTable, channels: tuple[str, ...]) -> tuple[str, ...]:
    """A warning for each column of a sequence that names files which are called as another one."""
    warnings = []
    for channel in channels:
        own = split_name(channel).sequence
        files = [file for row in table.rows if own and (file := table.file(row, channel)) is not None]
        others = [file.name for file in files if split_name(split_ending(file)[0]).sequence not in ("", own)]
        if others:
            warnings.append(
                f"{table.path}: column {channel!r} names {len(others)} of {len(files)} files that are called as "
                f"another sequence: {listed(others, _NAMED)}. Is a path in the wrong column?"
            )
    return tuple(warnings)


def _doubtful_columns(table: CsvTable, strata: list[str]) -> tuple[str, ...]:
    """A warning for each stratification column that may be something else: a sequence, or the patients."""
    warnings = []
    for column in strata:
        filled = [row.cells[column] for row in table.rows if row.cells[column]]
        different = len(set(filled))
        # in a real stratification column several cases share a value
        if filled and different == len(filled) and all("/" in text or "\\" in text for text in filled):
            warnings.append(
                f"{table.path}: no file or folder in column {column!r} exists (such as {filled[0]}); "
                "it is taken for a stratification column; if it is a sequence, mend its paths"
            )
        elif parts := _parts_told(column, filled):
            warnings.append(
                f"{table.path}: column {column!r} {parts}, and is taken for a stratification column: all cases of the "
                "table are trained on and validated. Leave cases for testing out of the table; to choose the folds "
                "yourself, write them into splits.json of the RUN folder"
            )
        elif PATIENT not in table.columns and LEAST_PATIENTS <= different < len(filled) <= 2 * different:
            warnings.append(
                f"{table.path}: column {column!r} has {different} values in {len(filled)} cases and is taken for a "
                "stratification column; if it names patients, call it `patient`, so that none is in training and "
                "validation at once"
            )
    return tuple(warnings)


def _parts_told(column: str, filled: Sequence[str]) -> str:
    """What a column says, if it seems to say which cases train and which test; empty where it does not."""
    values = Counter(text.casefold() for text in filled)
    if values and values.keys() <= _PARTS and len(values) > 1:
        counts = ", ".join(f"{value} in {count}" for value, count in values.items())
        return f"seems to say what cases are for ({counts} of {len(filled)} cases)"
    numbered = bool(values) and all(value.isdecimal() for value in values)
    return "seems to number the folds" if same_name(column) in _FOLDS and numbered else ""


def _annotated(case: Case, table: CsvTable, row: Row, labels: Labels) -> Case:
    """The case with the classes that its row says were annotated, or with the problem of that cell."""
    try:
        return replace(case, annotated=annotated_in_row(table, row, labels))
    except WrongNames as error:
        return replace(case, problems=(*case.problems, f"{table.where(row, ANNOTATED)}: {error}"))


def annotated_in_row(table: CsvTable, row: Row, labels: Labels) -> AnnotatedClasses:
    """The classes that were annotated in the case of a row; all of them where the table does not say.

    Words for nothing, as `none`, are no empty cells here, since they would say the contrary.

    Raises:
        WrongNames: the cell names no class of the data set.
    """
    text = row.cells.get(ANNOTATED, "")
    return annotated_classes(text, labels) if text else EVERY
