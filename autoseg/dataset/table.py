"""Reads a data set from a table, `cases.csv`, with a row for each case.

Columns: `case`; one for each sequence (a path, absolute or relative to the table, empty where the sequence was
not acquired); `label`; optionally `patient`; all others are stratification columns. A `dataset.json`
beside it may give `name`, `channel_names` (which columns are sequences, in which order) and `labels`;
without `labels`, every value found in the label files is a class.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autoseg.dataset.case import Case, Dataset
from autoseg.dataset.csv_rows import CASE, LABEL, PATIENT, RESERVED, CsvTable, Row, read_table
from autoseg.dataset.dataset_json import FILE_NAME, Declaration, is_ct, labels_of, parse, read_json
from autoseg.dataset.listing import Found, checked_cases, missing
from autoseg.dataset.names import split_ending
from autoseg.dataset.voxels import count_values
from autoseg.errors import DatasetError, ImageError
from autoseg.image.file_kind import why_unreadable
from autoseg.image.image import read_label
from autoseg.image.labels import Labels
from autoseg.machine.map_cases import map_cases, workers_within_memory

# bytes of memory that it takes to count the values of a label file, for each byte of the file
_MEMORY_PER_FILE_BYTE = 400
# a whole number as large as this is damage, which the check tells as a value that is not declared
_NO_CLASS = 2**31


def read_table_dataset(path: Path) -> Dataset:
    """Read a data set from its `cases.csv`; label files are opened only if no `dataset.json` declares the labels.

    Args:
        path: path of the `cases.csv`.

    Raises:
        DatasetError: the table or the `dataset.json` beside it is malformed.
    """
    table = read_table(path)
    if LABEL not in table.columns:
        raise DatasetError([f"{path}, line 1: has no column `{LABEL}`; training needs a label map for each case"])
    declared = path.parent / FILE_NAME
    declaration = parse(Declaration, read_json(declared), declared) if declared.exists() else Declaration()
    channels = _channels(table, declaration)
    strata = [column for column in table.columns if column not in (*RESERVED, *channels)]
    found = [Found(_case(table, row, channels, strata), table.where(row)) for row in table.rows]
    cases = checked_cases(found)
    labels = (
        _labels_found([case.label for case in cases if case.label is not None], path)
        if declaration.labels is None
        else labels_of(declaration.labels, declared, declaration.regions_class_order)
    )
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
            *_empty_columns(table, strata),
            *_columns_of_lost_files(table, strata),
            *_column_of_annotated_classes(table, strata),
        ),
        description=declaration.description,
        synthetic=declaration.synthetic,
    )


def match_channels(columns: Sequence[str], channels: Sequence[str]) -> tuple[str | None, ...]:
    """For each channel, the column with its name, if need be in other upper and lower case; None where none has it."""
    by_fold = {column.casefold(): column for column in columns if column not in RESERVED}
    return tuple(channel if channel in columns else by_fold.get(channel.casefold()) for channel in channels)


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
    if not row.cells[LABEL]:
        problems.append(f"missing file: {table.where(row, LABEL)}: is empty, training needs a label map")
    if not given:
        problems.append(f"missing file: {table.where(row)}: names no image")
    return Case(
        name=table.case_name(row),
        images=images,
        label=table.file(row, LABEL),
        patient=row.cells.get(PATIENT) or None,
        strata={column: row.cells[column] for column in strata},
        problems=tuple(problems),
    )


def _empty_columns(table: CsvTable, strata: list[str]) -> tuple[str, ...]:
    return tuple(
        f"{table.path}: column {column!r} is empty in every row; it is taken for a stratification column"
        for column in strata
        if not any(row.cells[column] for row in table.rows)
    )


def _columns_of_lost_files(table: CsvTable, strata: list[str]) -> tuple[str, ...]:
    """A warning for each stratification column that holds paths, none of which exists: it may be a sequence."""
    warnings = []
    for column in strata:
        filled = [row.cells[column] for row in table.rows if row.cells[column]]
        # in a real stratification column several cases share a value
        if filled and len(set(filled)) == len(filled) and all("/" in text or "\\" in text for text in filled):
            warnings.append(
                f"{table.path}: no file or folder in column {column!r} exists (such as {filled[0]}); "
                "it is taken for a stratification column; if it is a sequence, mend its paths"
            )
    return tuple(warnings)


def _column_of_annotated_classes(table: CsvTable, strata: list[str]) -> tuple[str, ...]:
    """A warning for a column whose name promises what is not read: which classes were looked for in each case."""
    return tuple(
        f"{table.path}: column {column!r} is taken for a stratification column, so classes that nobody looked for in a "
        "case count as absent there; mark where they may be with the label `ignore`"
        for column in strata
        if column.casefold() == "annotated"
    )


def _labels_found(files: list[Path], table: Path) -> Labels:
    """Labels from the values in the files; the check reports unreadable files and fractional values later."""
    largest = max((file.stat().st_size for file in files if why_unreadable(file) is None), default=0)
    workers = workers_within_memory(_MEMORY_PER_FILE_BYTE * largest) if len(files) > 50 else 1
    values = {0}.union(*map_cases(_values_in, files, workers, "Values of the labels"))
    if len(values) < 2:
        raise DatasetError(
            [
                f"{table}: no label file holds a value beside 0; "
                f"declare the labels in a {FILE_NAME} beside the table, or check the label files"
            ]
        )
    ordered = [0, *sorted(values - {0})]
    return labels_of({"background" if value == 0 else f"label {value}": value for value in ordered}, table)


def _values_in(file: Path) -> set[int]:
    try:
        values = count_values(read_label(file).array)
    except ImageError:
        return set()
    return {int(value) for value in values if value.is_integer() and abs(value) < _NO_CLASS}
