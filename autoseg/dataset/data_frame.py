"""Takes a pandas DataFrame for the table of a data set, as if it had been read from a `cases.csv`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.dataset.csv_rows import CsvTable, table_of_rows

if TYPE_CHECKING:
    from pandas import DataFrame

_NAME = "DataFrame"


def frame_as_table(frame: DataFrame) -> CsvTable:
    """Return the rows of a DataFrame as those of a table in the current folder.

    Args:
        frame: a row for each case, with the columns of a `cases.csv`. Missing values are empty cells; lists and tuples
            of names are joined as in the column `annotated`.

    Raises:
        DatasetError: a column is missing or given twice, or there is no row.
    """
    header = [str(column).strip() for column in frame.columns]
    cells = frame.astype(object).where(frame.notna(), "")
    rows = ([_text(cell) for cell in row] for row in cells.itertuples(index=False, name=None))
    # the header counts as line 1
    return table_of_rows(Path(_NAME), enumerate([header, *rows], start=1))


def _text(cell: object) -> str:
    if isinstance(cell, list | tuple):
        return "+".join(map(str, cell))
    # a column of whole numbers with a gap holds floats
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()
