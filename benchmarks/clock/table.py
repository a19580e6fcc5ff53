"""A row of the table, as it is kept in a file and printed: figures with their limits, and the runs behind them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from autoseg.files import FileModel, write_text
from benchmarks.clock.timed_run import TimedRun

Unit = Literal["share", "difference", "times", "count"]
Found = tuple[list["Figure"], list[TimedRun]]
"""Lines of a row, and the runs that are its own."""

HEADS = ("row", "what", "data", "found", "limit", "holds", "note")
HEADS_OF_RUNS = (
    "run",
    "budget, s",
    "used",
    "ended at",
    "features",
    "planned again",
    "steps by fold",
    "revisions",
    "changes of threads",
    "mean Dice",
    "remark",
)


class Figure(FileModel):
    """One line of the table.

    Args:
        what: that was measured.
        data: on which; synthetic data are called so.
        value: that was found.
        found: the value as it is printed.
        limit: in words; empty where there is none.
        holds: whether the value keeps the limit; None where there is none.
        note: what a reader has to know.
    """

    what: str
    data: str
    value: float
    found: str
    limit: str
    holds: bool | None
    note: str

    def cells(self, row: str) -> tuple[str, ...]:
        """The line's text."""
        holds = "" if self.holds is None else "yes" if self.holds else "**no**"
        return row, self.what, self.data, self.found, self.limit, holds, self.note


class Row(FileModel):
    """What a row of the table found.

    Args:
        name: of the row.
        options: of the command, that it depends on.
        machine, versions, date: of the measurement.
        figures: its lines.
        runs: that it rests on, without those of other rows.
    """

    schema_version: Literal[1] = 1
    name: str
    options: str
    machine: str
    versions: dict[str, str]
    date: str
    figures: tuple[Figure, ...]
    runs: tuple[TimedRun, ...]


def figure(
    what: str,
    data: str,
    value: float,
    unit: Unit,
    *,
    least: float | None = None,
    most: float | None = None,
    note: str = "",
) -> Figure:
    """A line of the table, judged by its limits.

    Args:
        what: that was measured.
        data: on which.
        value: that was found.
        unit: in which it is printed.
        least: that it may be; None = there is no such limit.
        most: likewise.
        note: what a reader has to know.
    """
    limited = least is not None or most is not None
    keeps = (least is None or value >= least) and (most is None or value <= most)
    return Figure(
        what=what,
        data=data,
        value=value,
        found=shown(value, unit),
        limit=_limit(unit, least, most),
        holds=keeps if limited else None,
        note=note,
    )


def shown(value: float, unit: Unit) -> str:
    """A value as the table has it."""
    match unit:
        case "share":
            return f"{100 * value:.1f} %"
        case "difference":
            return f"{value:+.3f}"
        case "times":
            return f"{value:.2f}×"
        case "count":
            return f"{value:g}"


def _limit(unit: Unit, least: float | None, most: float | None) -> str:
    if least is None:
        return "" if most is None else f"at most {shown(most, unit)}"
    if most is None:
        return f"at least {shown(least, unit)}"
    return shown(least, unit) if least == most else f"{shown(least, unit)} to {shown(most, unit)}"


def write_row(path: Path, row: Row) -> None:
    """Keep a row."""
    write_text(path, row.model_dump_json(indent=1) + "\n")


def read_row(path: Path) -> Row:
    """A row that was kept."""
    return Row.model_validate_json(path.read_text(encoding="utf-8"))


def as_markdown(rows: Sequence[Row], missing: Sequence[str]) -> str:
    """All rows, the runs that they rest on, machines and versions.

    Args:
        rows: that were measured.
        missing: names of those that were not.
    """
    figures = [line.cells(row.name) for row in rows for line in row.figures]
    runs = [_cells_of_run(run) for row in rows for run in row.runs]
    lines = [*_markdown_table(HEADS, figures), "", "The runs:", "", *_markdown_table(HEADS_OF_RUNS, runs), ""]
    for row in rows:
        versions = ", ".join(f"{name} {number}" for name, number in row.versions.items())
        lines.append(f"- {row.name}: {row.machine}; {versions}; {row.date}")
    lines += [
        "",
        "Used is the time in which steps, planned validations, preprocessing and the report were worked on; ended at "
        "is what the clock showed at the command's end: shares of the budget. All on a CPU.",
    ]
    if missing:
        lines.append(f"Not measured yet: {', '.join(missing)}.")
    return "\n".join(lines) + "\n"


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads), *(f"| {' | '.join(cells)} |" for cells in rows)]


def _cells_of_run(run: TimedRun) -> tuple[str, ...]:
    return (
        run.name,
        f"{run.budget:.0f}",
        shown(run.share_used, "share"),
        shown(run.ended_at, "share"),
        str(run.features),
        ", ".join(run.planned_again),
        ", ".join(map(str, run.steps)),
        str(run.revisions),
        str(run.changes_of_threads),
        f"{run.mean_dice:.3f}",
        run.remark,
    )
