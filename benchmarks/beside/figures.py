"""Results of the comparison: how they are kept in files and printed as a table."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

import psutil
import torch

from autoseg.files import FileModel, write_text
from autoseg.machine.cores import available_cores
from autoseg.machine.device import half_precision


class Figure(FileModel):
    """One line of the table.

    Args:
        what: what was measured, with its unit.
        dataset: name of the data.
        ours, theirs: value of each run of autoseg and of nnU-Net; empty where nothing was or could be measured.
        better: `less` or `more`, whichever is better.
        goal: ratio that should be reached, as text.
        note: what a reader has to know.
        instead: text in place of nnU-Net's value where there is none and the reason is known, such as `> 20 GiB`.
        ours_instead: text in place of autoseg's value where there is none and the reason is known.
    """

    what: str
    dataset: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    better: str
    goal: str
    note: str = ""
    instead: str = ""
    ours_instead: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better autoseg is, by the medians of the runs; None where one was not measured."""
        if not self.ours or not self.theirs:
            return None
        a, b = median(self.ours), median(self.theirs)
        return b / a if self.better == "less" else a / b

    def cells(self) -> tuple[str, ...]:
        """Texts of the line's cells, in the order of `HEADS`."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}×"
        ours, theirs = _number(self.ours) or self.ours_instead, _number(self.theirs) or self.instead
        return self.what, self.dataset, ours or NOT_MEASURED, theirs or NOT_MEASURED, ratio, self.goal, self.note


class Row(FileModel):
    """The result of one row of the comparison.

    Args:
        name: name of the row on the command line.
        machine: processor, number of cores and memory of the machine.
        versions: versions of the compared programs and of torch.
        figures: lines of the table.
    """

    name: str
    machine: str
    versions: dict[str, str]
    figures: tuple[Figure, ...]


NOT_MEASURED, NOT_REACHED = "not measured", "not reached"
HEADS = ("what", "data", "autoseg", "nnU-Net v2", "times better", "goal", "note")


def write_row(path: Path, row: Row) -> None:
    """Write a row to a file."""
    write_text(path, row.model_dump_json(indent=1) + "\n")


def read_row(path: Path) -> Row:
    """Read a row from its file."""
    return Row.model_validate_json(path.read_text(encoding="utf-8"))


def as_markdown(rows: Sequence[Row], missing: Sequence[str] = ()) -> str:
    """Markdown table of all rows, with machine and versions below it.

    Args:
        rows: rows that were measured.
        missing: names of the rows that were not measured.
    """
    lines = ["| " + " | ".join(HEADS) + " |", "|" + " --- |" * len(HEADS)]
    lines += ["| " + " | ".join(figure.cells()) + " |" for row in rows for figure in row.figures]
    lines.append("")
    for row in rows:
        versions = ", ".join(f"{name} {number}" for name, number in row.versions.items())
        lines.append(f"- {row.name}: {row.machine}; {versions}")
    lines += ["", "All on a CPU; on a GPU nothing was measured."]
    if missing:
        lines.append(f"Not measured yet: {', '.join(missing)}.")
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Text with the processor, the number of cores that may be used, and the memory."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{_processor()}, {available_cores()} cores, {memory:.0f} GiB"


def _processor() -> str:
    """Name of the processor, with family and model, since several generations may share a name."""
    listed = Path("/proc/cpuinfo")
    if not listed.exists():
        return platform.processor() or platform.machine()
    lines = (line.partition(":") for line in listed.read_text(encoding="utf-8").splitlines())
    said = {field.strip(): value.strip() for field, _, value in lines}
    name = said.get("model name", platform.machine())
    if "cpu family" not in said:
        return name
    return f"{name} (family {said['cpu family']}, model {said.get('model')})"


def number_types(*, learning: bool) -> str:
    """Text with the dtypes in which both compute on this CPU; nnU-Net uses half precision on GPUs only."""
    half = half_precision(torch.device("cpu"), learning=learning) or torch.float32
    return f"autoseg in {str(half).removeprefix('torch.')}, nnU-Net in float32"


def our_versions() -> dict[str, str]:
    """Version and commit of autoseg, and version of torch."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "autoseg": f"{version('autoseg-framework')} ({commit.stdout.strip() or 'no commit'})",
        "torch": version("torch"),
    }


def _number(values: Sequence[float]) -> str:
    if not values:
        return ""
    middle = f"{median(values):.3g}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.3g} to {max(values):.3g})"
