"""`predicted_lesions.csv`: the predicted lesions of every image, the likeliest first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autoseg.image.geometry import Geometry
from autoseg.metrics.diameters import Diameters
from autoseg.run_folder.lesion_scores import LesionScores
from inference.case_table import Kind, Row
from inference.lesion_scores.components import MeasuredLesion

FILE = "predicted_lesions.csv"
COLUMNS = (
    *("case", "class", "lesion", "score", "mean_probability", "largest_probability", "volume_ml", "diameter_mm"),
    *("voxels", "x_mm", "y_mm", "z_mm", "largest_diameter_mm", "axial_diameter_mm", "agreement"),
)
"""`lesion` counts the lesions of a class in a case from 1, the highest score first, and without scores the largest mean
probability. `x_mm`, `y_mm`, `z_mm` are the centre in the patient's coordinates (LPS: to the left, to the back, up), as
SimpleITK and DICOM have them. `score` is empty where the class has none, `agreement` where it is not measured.
`diameter_mm` is that of the ball of equal volume; the two others are measured from edge to edge."""

LESIONS = Kind(FILE, COLUMNS, "predicted lesions")

Extent = tuple[Diameters, float | None]
"""Largest diameters of a predicted lesion, and how far the members agree on it; None where that is not measured."""


def rows_of(
    case: str,
    class_name: str,
    found: Sequence[MeasuredLesion],
    extents: Sequence[Extent],
    scores: LesionScores | None,
    grid: Geometry,
) -> list[Row]:
    """Rows of the predicted lesions of a class in a case, the likeliest first.

    Args:
        case: name of the case.
        class_name: name of the class.
        found: measured lesions of the class that were predicted in this case.
        extents: diameters and agreement of each of them.
        scores: how they are scored; None = they have no score.
        grid: geometry of the reoriented image, in whose voxels the centres lie.
    """
    scored = [
        (None if scores is None else scores.of(lesion.features), lesion, extent)
        for lesion, extent in zip(found, extents, strict=True)
    ]
    scored.sort(key=lambda one: (-(one[0] or 0.0), -one[1].mean_probability, -one[1].voxels))
    rows = []
    for number, (score, lesion, (size, agreement)) in enumerate(scored, start=1):
        # world coordinates are (x, y, z), and indices (z, y, x)
        x, y, z = grid.to_world(np.asarray(lesion.centre)).tolist()
        numbers = (lesion.mean_probability, lesion.largest_probability, lesion.volume_ml, lesion.diameter_mm)
        cells = (*(f"{value:.4g}" for value in numbers), lesion.voxels, *(f"{mm:.2f}" for mm in (x, y, z)))
        measured = (f"{size.largest_mm:.4g}", f"{size.axial_mm:.4g}", "" if agreement is None else f"{agreement:.3f}")
        rows.append(Row((case, class_name, number, "" if score is None else f"{score:.3f}", *cells, *measured)))
    return rows
