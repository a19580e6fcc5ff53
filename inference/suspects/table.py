"""`suspects.csv` in a RUN folder: suspected errors of the annotation, the most suspicious first. It names cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from autoseg.disk.csv_files import TableRefused, csv_text, read_rows
from autoseg.files import write_text
from autoseg.run_folder.paths import RunFolder
from inference.suspects.find import Kind, Suspect

COLUMNS = ("case", "class", "suspected", "confidence", "volume_ml", "diameter_mm", "x_mm", "y_mm", "z_mm")
"""`suspected` is `not annotated` (a predicted lesion that is surely one) or `not seen` (an annotated one that nothing
sees); `x_mm`, `y_mm`, `z_mm` are the centre in the patient's coordinates (LPS)."""

MOST_MM = 1e9
"""A larger number in the file is no place and no size."""

MOST_SUSPECTS = 100
"""Number of suspects that are written: further ones are hardly suspicious."""


@dataclass(frozen=True)
class Line:
    """A suspect, as the file has it.

    Args:
        case: name of the case.
        class_name: name of the class.
        suspected: `not annotated` or `not seen`.
        confidence: how sure the network is, from 0 to 1.
        volume_ml, diameter_mm: size of the lesion.
        place_mm: its centre (x, y, z) in the patient's coordinates (LPS).
    """

    case: str
    class_name: str
    suspected: str
    confidence: float
    volume_ml: float
    diameter_mm: float
    place_mm: tuple[float, float, float]


def write_suspects(run: RunFolder, found: Sequence[Suspect]) -> None:
    """Write `suspects.csv`, atomically.

    Args:
        run: RUN folder that gets the file.
        found: suspects of all classes, the most suspicious first.
    """
    rows = []
    for one in found[:MOST_SUSPECTS]:
        numbers = (f"{one.confidence:.3f}", f"{one.lesion.volume_ml:.4g}", f"{one.lesion.diameter_mm:.4g}")
        rows.append((one.case, one.class_name, one.kind, *numbers, *(f"{mm:.2f}" for mm in one.place_mm)))
    write_text(run.suspects, csv_text(COLUMNS, rows))


def read_suspects(run: RunFolder) -> list[Line]:
    """Read `suspects.csv`; no line where the file is missing or malformed, as nothing depends on it but pictures."""
    if not run.suspects.exists():
        return []
    try:
        lines = [cells for _, cells in read_rows(run.suspects) if cells]
        if not lines or tuple(lines[0]) != COLUMNS:
            return []
        return [_line(cells) for cells in lines[1:]]
    except (OSError, TableRefused, ValueError):
        return []


def _line(cells: Sequence[str]) -> Line:
    case, class_name, suspected, confidence, volume_ml, diameter_mm, x, y, z = cells
    if suspected not in get_args(Kind):
        raise ValueError(suspected)
    numbers = [float(cell) for cell in (confidence, volume_ml, diameter_mm, x, y, z)]
    if not all(abs(number) < MOST_MM for number in numbers):
        raise ValueError(numbers)
    return Line(case, class_name, suspected, numbers[0], numbers[1], numbers[2], (numbers[3], numbers[4], numbers[5]))
