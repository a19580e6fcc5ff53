"""What a row of the comparison found, as it is kept in a file and printed in the table."""

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
        what: that was measured, with its unit.
        dataset: on which data.
        ours, theirs: each run; empty where one was not or could not be measured.
        better: whether less or more is better.
        goal: that the ratio should reach.
        note: what a reader has to know.
        instead: what stands for theirs where there is no figure, and why is known.
        ours_instead: likewise for ours.
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
        """How many times better ours is, by the medians."""
        if not self.ours or not self.theirs:
            return None
        a, b = median(self.ours), median(self.theirs)
        return b / a if self.better == "less" else a / b

    def cells(self) -> tuple[str, ...]:
        """The line's text: what, data set, ours, theirs, ratio, goal, note."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}×"
        ours, theirs = _number(self.ours) or self.ours_instead, _number(self.theirs) or self.instead
        return self.what, self.dataset, ours or NOT_MEASURED, theirs or NOT_MEASURED, ratio, self.goal, self.note


class Row(FileModel):
    """The result of one script.

    Args:
        name: of the script.
        machine: processor, cores, memory.
        versions: of what was compared.
    """

    name: str
    machine: str
    versions: dict[str, str]
    figures: tuple[Figure, ...]


NOT_MEASURED, NOT_REACHED = "not measured", "not reached"
HEADS = ("what", "data", "autoseg", "nnU-Net v2", "times better", "goal", "note")


def write_row(path: Path, row: Row) -> None:
    """Keep a row."""
    write_text(path, row.model_dump_json(indent=1) + "\n")


def read_row(path: Path) -> Row:
    """A row that was kept."""
    return Row.model_validate_json(path.read_text(encoding="utf-8"))


def as_markdown(rows: Sequence[Row], missing: Sequence[str] = ()) -> str:
    """The table of all rows, with machine and versions under it.

    Args:
        rows: that were measured.
        missing: names of those that were not.
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
    """The processor, the cores that may be used, and the memory."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{_processor()}, {available_cores()} cores, {memory:.0f} GiB"


def _processor() -> str:
    """Its name, and what tells generations of one name apart."""
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
    """In which numbers both compute on this CPU; nnU-Net leaves single precision on GPUs alone."""
    half = half_precision(torch.device("cpu"), learning=learning) or torch.float32
    return f"autoseg in {str(half).removeprefix('torch.')}, nnU-Net in float32"


def our_versions() -> dict[str, str]:
    """Autoseg's version and commit, and torch's."""
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
