"""Reads CSV files as a stream within bounds, and writes them so that no spreadsheet runs a cell as a formula.

A spreadsheet takes a cell for a formula if it begins with one of = + - @, a tabulator or a line break (OWASP, CSV
injection). Such a cell gets an apostrophe in front when it is written, unless it is a number, and loses it when it is
read. So that reading gives back what was written, a cell that begins with apostrophes and one of these signs gets one
more.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TextIO

from autoseg.disk.text_files import MIB, SPECIAL, TextRefused, is_special

MOST_BYTES = 512 * MIB
MOST_ROWS = 1_000_000
MOST_COLUMNS = 16_384
"""As many as a sheet of Excel or LibreOffice has."""

MOST_CELLS = 10_000_000
MOST_CELL_LENGTH = 32_767
"""As many characters as a cell of a spreadsheet holds."""

MOST_LINE_LENGTH = 2**20

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_GUARDED = re.compile(r"'+[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_UNDECODED = re.compile("[\udc80-\udcff]")


class TableRefused(TextRefused):
    """A CSV file is malformed or beyond the bounds; the message says why, and does not name the file.

    Args:
        line: number of the line, from 1; None = the whole file.
        why: what is wrong, as the end of a sentence that begins with the file.
    """

    def __init__(self, line: int | None, why: str) -> None:
        super().__init__(why)
        self.line = line

    def told(self, path: Path) -> str:
        """Text that names file and line, and says what is wrong."""
        return f"{path}: {self}" if self.line is None else f"{path}, line {self.line}: {self}"


def guarded(cell: object) -> object:
    """Return what is written for a cell: a text that a spreadsheet would run as a formula gets an apostrophe.

    Examples:
        >>> [guarded(cell) for cell in ("=1+1", "-1.5", "'=a", "T1", -3)]
        ["'=1+1", '-1.5', "''=a", 'T1', -3]
    """
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def unguarded(cell: str) -> str:
    """Return the cell that was written as `cell`.

    Examples:
        >>> [unguarded(cell) for cell in ("'=1+1", "-1.5", "''=a", "T1", "'s")]
        ['=1+1', '-1.5', "'=a", 'T1', "'s"]
    """
    return cell[1:] if _GUARDED.match(cell) else cell


def csv_text(header: Sequence[object], rows: Iterable[Iterable[object]]) -> str:
    """Return the text of a CSV file; None is an empty cell.

    Args:
        header: names of the columns.
        rows: cells of each row.
    """
    # with this ending, cells that hold either sign of it are put into quotation marks
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    lines = []
    for row in chain([header], rows):
        writer.writerow([guarded(cell) for cell in row])
        lines.append(out.getvalue().removesuffix("\r\n"))
        out.seek(0)
        out.truncate()
    return "".join(f"{line}\n" for line in lines)


def read_rows(path: Path, separators: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Read a CSV file row by row; only one row is in memory.

    Args:
        path: path of the file, which is text in UTF-8, or in UTF-16 with a byte order mark.
        separators: signs that may separate cells; the one that is most frequent in the first line does.

    Yields:
        Line number, from 1, and cells of each row; an empty line has no cells.

    Raises:
        OSError: the file cannot be read.
        TableRefused: the file is no table, or is beyond the bounds.
    """
    if is_special(path):
        raise TableRefused(None, SPECIAL)
    with _opened(path) as file:
        lines = _lines(file)
        first = next(lines, "")
        reader = csv.reader(chain([first], lines), delimiter=max(separators, key=first.count), strict=True)
        rows = cells = 0
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise TableRefused(line, f"not a table ({error})") from None
            rows, cells = rows + 1, cells + len(row)
            _refuse_beyond(line, row, rows, cells)
            yield line, [unguarded(cell) if cell.startswith("'") else cell for cell in row]


def _opened(path: Path) -> TextIO:
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        mark = file.read(2)
    if size > MOST_BYTES:
        raise TableRefused(None, f"is {size / MIB:.0f} MiB large, and {MOST_BYTES / MIB:.0f} MiB are read at most")
    encoding = "utf-16" if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    # a byte that is no UTF-8 becomes a sign that no other byte becomes, so that its line can be told
    return path.open(encoding=encoding, newline="", errors="surrogateescape")


def _lines(file: TextIO) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        try:
            line = file.readline(MOST_LINE_LENGTH + 1)
        except UnicodeDecodeError:
            raise TableRefused(number, "not UTF-16; save the table as UTF-8 text") from None
        if not line:
            return
        if len(line) > MOST_LINE_LENGTH:
            raise TableRefused(number, f"is longer than {MOST_LINE_LENGTH:,} characters; is it the right file?")
        if not line.isascii() and _UNDECODED.search(line):
            raise TableRefused(number, "not UTF-8; save the table as UTF-8 text")
        yield line


def _refuse_beyond(line: int, row: Sequence[str], rows: int, cells: int) -> None:
    if len(row) > MOST_COLUMNS:
        raise TableRefused(line, f"has {len(row):,} cells, at most {MOST_COLUMNS:,} are read; is it the right file?")
    if rows > MOST_ROWS + 1:
        raise TableRefused(line, f"the table has more than {MOST_ROWS:,} rows; is it the right file?")
    if cells > MOST_CELLS:
        raise TableRefused(line, f"the table has more than {MOST_CELLS:,} cells; is it the right file?")
    if (longest := max(map(len, row), default=0)) > MOST_CELL_LENGTH:
        column = [len(cell) for cell in row].index(longest) + 1
        raise TableRefused(line, f"column {column}: {longest:,} characters, a cell holds at most {MOST_CELL_LENGTH:,}")
