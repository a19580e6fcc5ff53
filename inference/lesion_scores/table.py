"""`predicted_lesions.csv`: the predicted lesions of every image, the likeliest first.

Rows of images that were predicted before into the same folder stay, until their label map is replaced: then they are
removed, so that no row ever speaks of another label map than the one that is there. New rows are written every few
seconds; a killed prediction may lack those of its last label maps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg.disk.csv_files import TableRefused, csv_text, read_rows
from autoseg.errors import InputError
from autoseg.files import write_text
from autoseg.image.geometry import Geometry
from autoseg.machine import clock
from autoseg.run_folder.lesion_scores import LesionScores
from autoseg.run_folder.lock import locked_briefly
from inference.lesion_scores.components import MeasuredLesion

FILE = "predicted_lesions.csv"
SECONDS_BETWEEN_WRITES = 10.0
COLUMNS = (
    *("case", "class", "lesion", "score", "mean_probability", "largest_probability", "volume_ml", "diameter_mm"),
    *("voxels", "x_mm", "y_mm", "z_mm"),
)
"""`lesion` counts the lesions of a class in a case from 1, the highest score first, and without scores the largest mean
probability. `x_mm`, `y_mm`, `z_mm` are the centre in the patient's coordinates (LPS: to the left, to the back, up), as
SimpleITK and DICOM have them. `score` is empty where the class has none."""


@dataclass(frozen=True)
class Row:
    """The cells of a predicted lesion."""

    cells: tuple[object, ...]


def rows_of(
    case: str, class_name: str, found: Sequence[MeasuredLesion], scores: LesionScores | None, grid: Geometry
) -> list[Row]:
    """Rows of the predicted lesions of a class in a case, the likeliest first.

    Args:
        case: name of the case.
        class_name: name of the class.
        found: measured lesions of the class that were predicted in this case.
        scores: how they are scored; None = they have no score.
        grid: geometry of the reoriented image, in whose voxels the centres lie.
    """
    scored = [(None if scores is None else scores.of(lesion.features), lesion) for lesion in found]
    scored.sort(key=lambda one: (-(one[0] or 0.0), -one[1].mean_probability, -one[1].voxels))
    rows = []
    for number, (score, lesion) in enumerate(scored, start=1):
        # world coordinates are (x, y, z), and indices (z, y, x)
        x, y, z = grid.to_world(np.asarray(lesion.centre)).tolist()
        numbers = (lesion.mean_probability, lesion.largest_probability, lesion.volume_ml, lesion.diameter_mm)
        cells = (*(f"{value:.4g}" for value in numbers), lesion.voxels, *(f"{mm:.2f}" for mm in (x, y, z)))
        rows.append(Row((case, class_name, number, "" if score is None else f"{score:.3f}", *cells)))
    return rows


class LesionTable:
    """The file of a prediction, which grows case by case.

    Args:
        folder: folder of the predictions.
        lists: whether lesions are listed; if not, rows of label maps that are replaced are removed all the same.

    Raises:
        InputError: the file that is there is not one of these tables.
    """

    def __init__(self, folder: Path, *, lists: bool = True) -> None:
        self._folder = folder
        self._lists = lists
        self._before = {cells[0] for cells in read_table(folder)}
        self._waiting: list[Row] = []
        self._written_at = clock.now()

    def __enter__(self) -> LesionTable:
        return self

    def __exit__(self, *_: object) -> None:
        """Write what waits, also where the prediction is stopped."""
        self.write()

    def begin(self, case: str) -> None:
        """Remove the former rows of a case, whose label map is about to be replaced."""
        if case in self._before:
            self._before.remove(case)
            write_rows(self._folder, [], without={case})

    def add(self, rows: Iterable[Row]) -> None:
        """Add the rows of a case; they are written now or a few seconds later."""
        if not self._lists:
            return
        self._waiting += rows
        if clock.now() - self._written_at > SECONDS_BETWEEN_WRITES:
            self.write()

    def write(self) -> None:
        """Write what waits; a table without lesions is written too."""
        if not self._lists:
            return
        write_rows(self._folder, self._waiting)
        self._waiting, self._written_at = [], clock.now()


def write_rows(folder: Path, rows: Sequence[Row], without: Collection[str] = ()) -> None:
    """Add rows to the file, atomically.

    Args:
        folder: folder of the predictions.
        rows: rows that come last.
        without: names of cases whose former rows are left out.

    Raises:
        InputError: the file that is there is not one of these tables.
    """
    path = folder / FILE
    # another prediction may write into this folder
    with locked_briefly(path):
        kept = [cells for cells in read_table(folder) if cells[0] not in without]
        write_text(path, csv_text(COLUMNS, [*kept, *(row.cells for row in rows)]))


def read_table(folder: Path) -> list[list[str]]:
    """Cells of each row of the file in a folder of predictions; none where there is no file.

    Raises:
        InputError: the file that is there is not one of these tables.
    """
    path = folder / FILE
    if not path.exists():
        return []
    try:
        lines = [cells for _, cells in read_rows(path) if cells]
    except (TableRefused, IsADirectoryError) as error:
        why = error.told(path) if isinstance(error, TableRefused) else f"{path}: is a folder"
        raise InputError(f"{why}; move it away, it is not replaced") from None
    if not lines or lines[0] != list(COLUMNS) or any(len(cells) != len(COLUMNS) for cells in lines):
        raise InputError(f"{path}: is no table of predicted lesions of this release; move it away, it is not replaced")
    return lines[1:]
