"""`predicted_lesions.csv`: the predicted lesions of every image, the likeliest first.

Rows of images that were predicted before into the same folder stay. The file is written anew after each image, so that
a killed prediction has the lesions of every label map that it wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg.disk.csv_files import TableRefused, csv_text, read_rows
from autoseg.errors import InputError
from autoseg.files import write_text
from autoseg.image.geometry import Geometry
from autoseg.run_folder.lesion_scores import LesionScores
from autoseg.run_folder.lock import locked_briefly
from inference.lesion_scores.components import MeasuredLesion

FILE = "predicted_lesions.csv"
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
        found: predicted lesions.
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


def write_rows(folder: Path, cases: Sequence[str], rows: Sequence[Row]) -> None:
    """Write the file with the rows of some cases in place of those that it had, after those of other cases.

    Args:
        folder: folder of the predictions.
        cases: names of the cases that the rows are of; a case may have none.
        rows: rows of these cases.

    Raises:
        InputError: the file that is there is not one of these tables.
    """
    path = folder / FILE
    # another prediction may write into this folder
    with locked_briefly(path):
        kept = [cells for cells in read_table(folder) if cells[0] not in cases]
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
        lines = [cells for _, cells in read_rows(path)]
    except TableRefused as error:
        raise InputError(f"{error.told(path)}; move it away, it is not replaced") from None
    if not lines or lines[0] != list(COLUMNS) or any(len(cells) != len(COLUMNS) for cells in lines):
        raise InputError(f"{path}: is no table of predicted lesions of this release; move it away, it is not replaced")
    return lines[1:]
