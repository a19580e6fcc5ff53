"""On which sequence of each case the label was drawn: the column `drawn_on` of a table, and what follows from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from autoseg.dataset.csv_rows import DRAWN_ON, CsvTable, Row
from autoseg.names import same_name


def drawn_on(
    table: CsvTable, row: Row, channels: Sequence[str], images: Sequence[Path | None]
) -> tuple[str | None, tuple[str, ...]]:
    """The sequence that the label of a row was drawn on, and what is wrong with its cell, one sentence each.

    Args:
        table: table of the data set, or of images to predict.
        row: row of the case in the table.
        channels: names of the sequences.
        images: image of each sequence; None where it was not acquired.

    Returns:
        The sequence is the first one that was acquired where the cell is empty, and None where the table has no such
        column.
    """
    if DRAWN_ON not in table.columns:
        return None, ()
    there = [channel for channel, image in zip(channels, images, strict=True) if image is not None]
    text = table.text(row, DRAWN_ON)
    if not text:
        return (there[0] if there else None), ()
    found, wrong = named(table, row, channels)
    if found is not None and found not in there:
        return None, (f"{table.where(row, DRAWN_ON)}: the case has no {found}; name a sequence that it has",)
    return found, wrong


def named(table: CsvTable, row: Row, channels: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """The sequence that a row names, whether its case has it or not, and what is wrong with the cell.

    Args:
        table: table of the data set, or of images to predict.
        row: row of the case in the table.
        channels: names of the sequences.

    Returns:
        The sequence is None where the cell is empty, or the table has no such column.
    """
    text = table.text(row, DRAWN_ON)
    found = next((channel for channel in channels if same_name(channel) == same_name(text)), None)
    if found is not None or not text:
        return found, ()
    where, known = table.where(row, DRAWN_ON), ", ".join(channels)
    return None, (f"{where}: {text} is no sequence; there are {known}, or leave it empty",)


def most_common(sequences: Iterable[str | None]) -> str | None:
    """The sequence that most labels were drawn on; None where no case says on which one."""
    counted = Counter(one for one in sequences if one is not None)
    return counted.most_common(1)[0][0] if counted else None


def counts_told(sequences: Iterable[str | None]) -> str:
    """How many labels were drawn on each sequence, such as `T1 (30 cases), T2 (10)`."""
    (first, times), *others = Counter(one for one in sequences if one is not None).most_common()
    return ", ".join([f"{first} ({times} cases)", *(f"{name} ({count})" for name, count in others)])
