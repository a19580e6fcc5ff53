"""A table beside predictions, which grows case by case.

Rows of images that were predicted before into the same folder stay, until their label map is replaced: then they are
removed, so that no row ever speaks of another label map than the one that is there. New rows are written every few
seconds, less often where that takes long; a killed prediction may lack those of its last label maps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from autoseg.disk import csv_files
from autoseg.disk.csv_files import TableRefused, csv_text, read_rows
from autoseg.errors import InputError
from autoseg.files import write_text
from autoseg.machine import clock
from autoseg.run_folder.lock import locked_briefly

SECONDS_BETWEEN_WRITES = 10.0
SHARE_OF_WRITING = 0.05
"""Writing, and waiting for others that write, takes no more than this share of the time."""


@dataclass(frozen=True)
class Kind:
    """A kind of table.

    Args:
        file: name of its file.
        columns: names of its columns, the first of which is that of the case.
        what: what its rows are, for messages.
    """

    file: str
    columns: tuple[str, ...]
    what: str


@dataclass(frozen=True)
class Row:
    """The cells of a row, the first of which is the name of a case."""

    cells: tuple[object, ...]


class CaseTable:
    """The file of a prediction, which grows case by case.

    Args:
        folder: folder of the predictions.
        kind: name and columns of the table.
        lists: whether rows are added; if not, rows of label maps that are replaced are removed all the same.
        before: names of the cases whose rows are there; None = the file is read.

    Raises:
        InputError: the file that is there is not one of these tables.

    Attributes:
        left_out: names of the cases whose rows the table could not take, since it would not be read again.
    """

    def __init__(self, folder: Path, kind: Kind, *, lists: bool = True, before: Collection[str] | None = None) -> None:
        self._folder, self._kind, self._lists = folder, kind, lists
        self._before = {cells[0] for cells in read_table(folder, kind)} if before is None else set(before)
        self._waiting: list[Row] = []
        self._added: set[str] = set()
        self.left_out: list[str] = []
        self._written_at, self._pause = clock.now(), SECONDS_BETWEEN_WRITES

    def __enter__(self) -> CaseTable:
        return self

    def __exit__(self, *_: object) -> None:
        """Write what waits, also where the prediction is stopped."""
        self.write()

    def begin(self, case: str) -> None:
        """Remove the former rows of a case, whose label map is about to be replaced."""
        # rows of this process may still wait, where another one took the case over before they were written, and died
        self._added.discard(case)
        self._waiting = [row for row in self._waiting if row.cells[0] != case]
        if case in self._before:
            self._before.remove(case)
            write_rows(self._folder, self._kind, [], without={case})

    def add(self, case: str, rows: Iterable[Row], after: CaseTable | None = None) -> None:
        """Add the rows of a case; they are written now or a few seconds later.

        Args:
            case: name of the case.
            rows: its rows, of which there may be none.
            after: table whose waiting rows are written before these.
        """
        if not self._lists:
            return
        self._added.add(case)
        self._waiting += rows
        if clock.now() - self._written_at > self._pause:
            if after is not None:
                after.write()
            self.write()

    def lacking(self, cases: Collection[str], rows_each: int) -> frozenset[str]:
        """Names of cases without rows; none where the table has no room for them.

        Args:
            cases: names of cases that have rows.
            rows_each: number of rows of each.
        """
        # whoever holds the lock sees the table as it was last written, on any file system
        with locked_briefly(self._folder / self._kind.file):
            rows = read_table(self._folder, self._kind)
        return frozenset() if len(rows) + rows_each > most_rows(self._kind) else frozenset(cases) - {r[0] for r in rows}

    @property
    def waits(self) -> bool:
        """Whether rows wait to be written."""
        return bool(self._waiting)

    def write(self) -> None:
        """Write what waits; a table without rows is written too."""
        if not self._lists:
            return
        began = clock.now()
        # another process may have written rows of such a case and died before it told so, also where it has none now
        self.left_out += write_rows(self._folder, self._kind, self._waiting, without=self._added)
        self._waiting, self._added, self._written_at = [], set(), clock.now()
        # a long table is written whole, and by one process after the other
        self._pause = max(SECONDS_BETWEEN_WRITES, (self._written_at - began) / SHARE_OF_WRITING)


def write_rows(folder: Path, kind: Kind, rows: Sequence[Row], without: Collection[str] = ()) -> list[str]:
    """Add rows to the file, atomically.

    Args:
        folder: folder of the predictions.
        kind: name and columns of the table.
        rows: rows that come last.
        without: names of cases whose former rows are left out.

    Returns:
        Names of the cases of which no row was added, since the table would be too large to be read again.

    Raises:
        InputError: the file that is there is not one of these tables.
    """
    path = folder / kind.file
    # another prediction may write into this folder
    with locked_briefly(path):
        kept = [cells for cells in read_table(folder, kind) if cells[0] not in without]
        added, left_out = _fitting(rows, most_rows(kind) - len(kept))
        write_text(path, csv_text(kind.columns, [*kept, *(row.cells for row in added)]))
    return left_out


def most_rows(kind: Kind) -> int:
    """Number of rows, without the names of the columns, with which a table is still read."""
    return min(csv_files.MOST_ROWS, csv_files.MOST_CELLS // len(kind.columns) - 1)


def _fitting(rows: Sequence[Row], room: int) -> tuple[list[Row], list[str]]:
    """The rows of the cases that have room, each with all of its rows, and the names of the others."""
    added: list[Row] = []
    left_out = []
    for case, of_case in groupby(rows, key=lambda row: str(row.cells[0])):
        several = list(of_case)
        if len(added) + len(several) <= room:
            added += several
        else:
            left_out.append(case)
    return added, left_out


def read_table(folder: Path, kind: Kind) -> list[list[str]]:
    """Cells of each row of the file in a folder of predictions; none where there is no file.

    Raises:
        InputError: the file that is there is not one of these tables.
    """
    path = folder / kind.file
    if not path.exists():
        return []
    try:
        lines = [cells for _, cells in read_rows(path) if cells]
    except (TableRefused, IsADirectoryError) as error:
        why = error.told(path) if isinstance(error, TableRefused) else f"{path}: is a folder"
        raise InputError(f"{why}; move it away, it is not replaced") from None
    width = len(kind.columns)
    if not lines or lines[0] != list(kind.columns) or any(len(cells) != width for cells in lines):
        raise InputError(f"{path}: is no table of {kind.what} of this release{_how_saved(kind, lines)}")
    return lines[1:]


def _how_saved(kind: Kind, lines: Sequence[Sequence[str]]) -> str:
    """What may have changed a table, and what to do, as the end of a sentence."""
    first = lines[0][0].lower() if lines and lines[0] else ""
    for sign, name in ((";", "semicolons"), ("\t", "tabs")):
        if first.startswith(f"{kind.columns[0]}{sign}"):
            return (
                f": {name} separate its cells, as where a spreadsheet saved it. Save it with commas, or move it away; "
                "it is not replaced"
            )
    return ", or a spreadsheet saved it otherwise; move it away, it is not replaced"
