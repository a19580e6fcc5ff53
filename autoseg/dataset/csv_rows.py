"""Reads the rows of a `cases.csv` with their line numbers, and notes malformed rows."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoseg.dataset.names import is_dicom_folder, split_ending
from autoseg.disk.csv_files import TableRefused, read_rows
from autoseg.errors import DatasetError
from autoseg.image.path_choice import split_choice

CASE, LABEL, PATIENT, DRAWN_ON, ANNOTATED = "case", "label", "patient", "drawn_on", "annotated"
RESERVED = (CASE, LABEL, PATIENT, DRAWN_ON, ANNOTATED)
SEPARATORS = ",;\t"

SYNONYMS = {
    CASE: ("caseid", "casename"),
    PATIENT: (
        *("patientid", "patid", "patientname", "participantid", "participant", "subject", "subjectid", "mrn", "pid"),
        *("patientnumber", "patientno", "patientenid", "patientennummer"),
    ),
}
"""Names, in lower case and without punctuation, that a column has elsewhere, as in BIDS; for a missing own name."""

NOTHING = frozenset(("na", "n/a", "nan", "-", "none", "null"))
"""What people write, in upper or lower case, into a cell for a sequence that was not acquired."""


@dataclass(frozen=True)
class Row:
    """The row of one case.

    Args:
        line: line number in the file, from 1.
        cells: text of each cell without surrounding blanks, by column name.
    """

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class CsvTable:
    """The content of a `cases.csv`.

    Args:
        path: path of the file.
        columns: column names of the header; those in `RESERVED` are in lower case.
        rows: rows that have a value or an empty cell for every column, in the order of the file.
        malformed: for each malformed row its problem, by line number.
        notes: what was understood in another way than it is written, one sentence each.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    malformed: dict[int, str]
    notes: tuple[str, ...] = ()

    def where(self, row: Row, column: str | None = None) -> str:
        """Text that names the place of a row or cell, for messages."""
        return f"{self.path}, line {row.line}" + ("" if column is None else f", column {column}")

    def text(self, row: Row, column: str) -> str:
        """Text of a cell; empty where it holds a word for nothing, or the table lacks the column."""
        text = row.cells.get(column, "")
        return "" if text.casefold() in NOTHING else text

    def case_name(self, row: Row) -> str:
        """Name of the row's case, or its line number where the name is empty."""
        return row.cells[CASE] or f"(line {row.line})"

    def file(self, row: Row, column: str) -> Path | None:
        """Path of the file that a cell names, absolute or relative to the table; None where the cell is empty."""
        text = row.cells.get(column, "")
        if not text or (text.casefold() in NOTHING and not _exists(self.path.parent / text)):
            return None
        path = self.path.parent / text
        # a table written on Windows has backslashes
        return self.path.parent / text.replace("\\", "/") if "\\" in text and not _exists(path) else path

    def sequence_columns(self) -> tuple[str, ...]:
        """Columns in which at least half of the filled cells have an image ending or name an existing image."""
        names = []
        for column in self.columns:
            files = Counter(file for row in self.rows if (file := self.file(row, column)) is not None)
            named = sum(times for file, times in files.items() if split_ending(file)[1] or self._names_an_image(file))
            if column not in RESERVED and files and 2 * named >= files.total():
                names.append(column)
        return tuple(names)

    def _names_an_image(self, path: Path) -> bool:
        """Whether the path is an existing file or DICOM folder; other folders beside the table do not count."""
        if not _exists(path):
            return False
        path, chosen = split_choice(path)
        return bool(chosen) or path.parent != self.path.parent or path.is_file() or is_dicom_folder(path)


def _exists(path: Path) -> bool:
    """Whether a file or folder exists; of a path such as `scan?echo=4.92` the place counts."""
    try:
        return split_choice(path)[0].exists()
    except OSError:
        # a cell may hold a text that is too long or otherwise impossible as a path
        return False


def path_for_table(path: Path, beside: Path) -> str:
    """Return the text by which a table names a file: its path relative to the table's folder, with slashes.

    Args:
        path: path of the file.
        beside: folder of the table.
    """
    return Path(os.path.relpath(path.absolute(), beside.absolute())).as_posix()


def read_table(path: Path) -> CsvTable:
    """Read a table whose cells are separated by commas, semicolons or tabs.

    Raises:
        DatasetError: the file cannot be read, its header is malformed, it has no row, or it is beyond the bounds of
            `autoseg.disk.csv_files`.
    """
    try:
        # a table beyond the bounds is refused before any row of it is kept
        for _ in read_rows(path, SEPARATORS):
            pass
        return table_of_rows(path, _filled(path))
    except TableRefused as error:
        raise DatasetError([error.told(path)]) from None
    except OSError as error:
        raise DatasetError([f"{path}: cannot be read ({error.strerror or error})"]) from None


def table_of_rows(path: Path, numbered: Iterator[tuple[int, list[str]]]) -> CsvTable:
    """Make a table of its rows.

    Args:
        path: path of the table, for messages; the paths in it are relative to its folder.
        numbered: line number and cells of each row, the header first.

    Raises:
        DatasetError: the header is malformed, or there is no row.
    """
    _, header = next(numbered, (0, []))
    if [cell for cell in header if cell] == ["sep="]:
        # Excel's line for the separator, which splits itself
        _, header = next(numbered, (0, []))
    columns, notes = _columns(path, header)
    rows: list[Row] = []
    malformed: dict[int, str] = {}
    for line, cells in numbered:
        beyond = cells[len(columns) :]
        if len(cells) < len(columns) or any(beyond):
            malformed[line] = f"{path}, line {line}: has {len(cells)} cells, the header has {len(columns)} columns"
        else:
            rows.append(Row(line, dict(zip(columns, cells, strict=False))))
    if not rows and not malformed:
        raise DatasetError([f"{path}: lists no case"])
    return CsvTable(path, columns, tuple(rows), malformed, notes)


def _filled(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells, without surrounding blanks, of each line that is not empty."""
    for line, row in read_rows(path, SEPARATORS):
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield line, cells


def _columns(path: Path, header: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the columns, and sentences on those that are understood under another name."""
    columns = [name.lower() if name.lower() in RESERVED else name for name in header]
    notes = []
    for own, others in SYNONYMS.items():
        known = [i for i, name in enumerate(columns) if re.sub(r"[\W_]", "", name.lower()) in others]
        if own not in columns and len(known) > 1:
            told = ", ".join(repr(columns[i]) for i in known)
            notes.append(f"{path}: columns {told} may each be `{own}`; call one of them so")
        elif own not in columns and known:
            notes.append(f"{path}: column {columns[known[0]]!r} is taken for `{own}`")
            columns[known[0]] = own
    problems = []
    if CASE not in columns:
        problems.append(f"{path}, line 1: has no column `{CASE}`; found {', '.join(columns) or 'nothing'}")
    problems += [f"{path}, line 1: column {i + 1} has no name" for i, name in enumerate(columns) if not name]
    twice = sorted(name for name, times in Counter(columns).items() if name and times > 1)
    problems += [f"{path}, line 1: column {name!r} is given twice" for name in twice]
    if problems:
        raise DatasetError(problems)
    return tuple(columns), tuple(notes)
