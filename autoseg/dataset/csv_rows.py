"""The rows of a `cases.csv`, with their lines, and what is malformed about them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoseg.dataset.names import is_dicom_folder, split_ending
from autoseg.errors import DatasetError

CASE, LABEL, PATIENT = "case", "label", "patient"
RESERVED = (CASE, LABEL, PATIENT)


@dataclass(frozen=True)
class Row:
    """One case's row.

    Args:
        line: in the file, from 1.
        cells: stripped text of each column.
    """

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Table:
    """A `cases.csv`.

    Args:
        columns: names as the header has them; `case`, `label` and `patient` in lower case.
        malformed: what is wrong with the rows that could not be read, by their lines.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    malformed: dict[int, str]

    def where(self, row: Row, column: str | None = None) -> str:
        """Place of a row or cell, for messages."""
        return f"{self.path}, line {row.line}" + ("" if column is None else f", column {column}")

    def case_name(self, row: Row) -> str:
        """What the row calls its case; its line, where it does not."""
        return row.cells[CASE] or f"(line {row.line})"

    def file(self, row: Row, column: str) -> Path | None:
        """The file that a cell names, relative to the table or absolute; None where it is empty."""
        text = row.cells.get(column, "")
        if not text:
            return None
        path = self.path.parent / text
        # tables written on Windows
        return self.path.parent / text.replace("\\", "/") if "\\" in text and not _exists(path) else path

    def sequence_columns(self) -> tuple[str, ...]:
        """Columns of files: at least half of their filled cells have an image's ending, or name what exists."""
        names = []
        for column in self.columns:
            files = [file for row in self.rows if (file := self.file(row, column)) is not None]
            named = sum(bool(split_ending(file)[1]) or self._names_an_image(file) for file in files)
            if column not in RESERVED and files and 2 * named >= len(files):
                names.append(column)
        return tuple(names)

    def _names_an_image(self, path: Path) -> bool:
        """Whether a file or a series is there: not any folder beside the table that a word happens to name."""
        if not _exists(path):
            return False
        return path.parent != self.path.parent or path.is_file() or is_dicom_folder(path)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        # prose is no possible path
        return False


def read_table(path: Path) -> Table:
    """Read a table, separated by commas, semicolons or tabs.

    Raises:
        DatasetError: it cannot be read, its header is malformed, or it has no row.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError([f"{path}: cannot be read ({error.strerror or error})"]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DatasetError([f"{path}, line {line}: not UTF-8; save the table as UTF-8 text"]) from None
    numbered = _lines(path, text)
    _, header = next(numbered, (0, []))
    columns = _columns(path, header)
    rows: list[Row] = []
    malformed: dict[int, str] = {}
    for line, cells in numbered:
        if len(cells) != len(columns):
            malformed[line] = f"{path}, line {line}: has {len(cells)} cells, the header has {len(columns)} columns"
        else:
            rows.append(Row(line, dict(zip(columns, cells, strict=True))))
    if not rows and not malformed:
        raise DatasetError([f"{path}: lists no case"])
    return Table(path, columns, tuple(rows), malformed)


def _lines(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Number and stripped cells of each line that is not blank."""
    first = text.partition("\n")[0]
    reader = csv.reader(text.splitlines(keepends=True), delimiter=max(",;\t", key=first.count), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise DatasetError([f"{path}, line {line}: not a table ({error})"]) from None
        if any(cells):
            yield line, cells


def _columns(path: Path, header: list[str]) -> tuple[str, ...]:
    columns = [name.lower() if name.lower() in RESERVED else name for name in header]
    problems = []
    if CASE not in columns:
        problems.append(f"{path}, line 1: has no column `{CASE}`; found {', '.join(columns) or 'nothing'}")
    problems += [f"{path}, line 1: column {i + 1} has no name" for i, name in enumerate(columns) if not name]
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    problems += [f"{path}, line 1: column {name!r} is given twice" for name in twice]
    if problems:
        raise DatasetError(problems)
    return tuple(columns)
