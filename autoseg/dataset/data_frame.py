"""Takes a pandas DataFrame for the table of a data set, as if it had been read from a `cases.csv`."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.dataset.csv_rows import CsvTable, table_of_rows
from autoseg.errors import DatasetError

if TYPE_CHECKING:
    from pandas import DataFrame

_NAME = "DataFrame"


def frame_as_table(frame: DataFrame) -> CsvTable:
    """Return the rows of a DataFrame as those of a table in the current folder.

    Args:
        frame: a row for each case, with the columns of a `cases.csv`; a named index is a column too. Missing values are
            empty cells; lists and tuples of names are joined as in the column `annotated`.

    Raises:
        DatasetError: a column is missing or given twice, there is no row, or a list names nothing.
    """
    if frame.index.name is not None and frame.index.name not in frame.columns:
        # people make the names of the cases the index
        frame = frame.reset_index()
    header = [str(column).strip() for column in frame.columns]
    cells = frame.astype(object).where(frame.notna(), "")
    # the header counts as line 1
    numbered = list(enumerate(cells.itertuples(index=False, name=None), start=2))
    if empty := [
        f"{_NAME}, line {line}, column {column}: is a list without a name; give None where all classes were looked for "
        "and leave out a case in which none was"
        for line, row in numbered
        for column, cell in zip(header, row, strict=True)
        if _names_nothing(cell)
    ]:
        raise DatasetError(empty)
    texts = ((line, [_text(cell) for cell in row]) for line, row in numbered)
    return table_of_rows(Path(_NAME), chain([(1, header)], texts))


def _names_nothing(cell: object) -> bool:
    return isinstance(cell, list | tuple) and not any(str(name).strip() for name in cell)


def _text(cell: object) -> str:
    if isinstance(cell, list | tuple):
        return "+".join(map(str, cell))
    # a column of whole numbers with a gap holds floats
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()
