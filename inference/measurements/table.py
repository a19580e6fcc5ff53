"""`measurements.csv`: sizes and agreement of every class in every predicted image."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.disk.csv_files import csv_text
from autoseg.errors import InputError
from inference.case_table import Kind, Row, read_table
from inference.measurements.classes import ClassMeasurement

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = (
    *("case", "class", "voxels", "volume_ml", "components", "largest_diameter_mm", "axial_diameter_mm"),
    *("mean_probability", "agreement", "notes", "image"),
)
"""A row for each class of a case, also where it is absent. `agreement` is empty where it is not measured or no member
marks anything; `notes` says of the case what a person should look at; `image` is the image that was predicted."""

MEASUREMENTS = Kind("measurements.csv", COLUMNS, "measurements")
BETWEEN_NOTES = " | "
_NUMBERS = ("largest_diameter_mm", "axial_diameter_mm", "mean_probability", "agreement")
_EMPTY = {name: [""] for name in _NUMBERS}


@dataclass(frozen=True)
class Line:
    """What the order of checking needs of a row.

    Args:
        case: name of the case.
        class_name: name of the class.
        voxels: number of its voxels.
        agreement: how far the members agree on it; None where that is not known.
        notes: what is said of the case.
        image: path of its image.
    """

    case: str
    class_name: str
    voxels: int
    agreement: float | None
    notes: tuple[str, ...]
    image: str = ""


def rows_of(
    case: str, found: Sequence[ClassMeasurement], agreement: Sequence[float | None], notes: Sequence[str], image: str
) -> list[Row]:
    """Rows of a case.

    Args:
        case: name of the case.
        found: measurements of its classes.
        agreement: how far the members agree on each of them; None = not known.
        notes: sentences on the case.
        image: path of its image.
    """
    told = BETWEEN_NOTES.join(notes)
    rows = []
    for one, agreed in zip(found, agreement, strict=True):
        size = one.largest
        lengths = ("", "") if size is None else (f"{size.largest_mm:.4g}", f"{size.axial_mm:.4g}")
        mean = "" if one.mean_probability is None else f"{one.mean_probability:.4g}"
        share = "" if agreed is None else f"{agreed:.3f}"
        cells = (one.voxels, f"{one.volume_ml:.6g}", one.components, *lengths, mean, share)
        rows.append(Row((case, one.name, *cells, told, image)))
    return rows


def as_frame(rows: Sequence[Row]) -> DataFrame:
    """Rows of a case as pandas reads them from the file, without the columns `case` and `image`."""
    from pandas import read_csv

    texts = dict.fromkeys(("case", "class", "notes", "image"), str)
    # a class may be called NA
    frame = read_csv(
        StringIO(csv_text(COLUMNS, [row.cells for row in rows])), dtype=texts, keep_default_na=False, na_values=_EMPTY
    )
    return frame.drop(columns=["case", "image"])


def refuse_other_images(folder: Path, lines: Sequence[Line], images: Mapping[str, str]) -> None:
    """Refuse to replace the prediction of another image of the same name, which may be another patient's.

    Args:
        folder: folder of the predictions.
        lines: what its table says, from `read_lines`.
        images: path of each case's image, by the case's name.

    Raises:
        InputError: the folder holds such a prediction.
    """
    former = {line.case: line.image for line in lines if line.image and line.case in images}
    others = {name: image for name, image in former.items() if not _is_same(image, images[name])}
    if not others:
        return
    name, image = next(iter(others.items()))
    more = f", and {len(others) - 1} more" if len(others) > 1 else ""
    raise InputError(
        f"{folder}: holds the prediction of another image that is called {name} too: {image}, and now {images[name]}"
        f"{more}. Choose another output folder; where the image was only moved, remove its prediction and its rows in "
        f"{MEASUREMENTS.file}"
    )


def _is_same(one: str, other: str) -> bool:
    """Whether two paths name one image, also where a link or `..` leads to it."""
    try:
        return one == other or os.path.realpath(one) == os.path.realpath(other)
    except ValueError:
        # a path with a null character is none
        return False


def read_lines(folder: Path) -> list[Line]:
    """What the table in a folder of predictions says; nothing where there is none.

    Raises:
        InputError: the file that is there is not one of these tables.
    """
    lines = []
    for cells in read_table(folder, MEASUREMENTS):
        row = dict(zip(COLUMNS, cells, strict=True))
        try:
            voxels, agreement = int(row["voxels"]), float(row["agreement"]) if row["agreement"] else None
            if agreement is not None and not 0 <= agreement <= 1:
                raise ValueError(agreement)
        except ValueError:
            raise InputError(
                f"{folder / MEASUREMENTS.file}: the row of {row['case']}, {row['class']} is malformed; "
                "move the table away, it is not replaced"
            ) from None
        notes = tuple(row["notes"].split(BETWEEN_NOTES)) if row["notes"] else ()
        lines.append(Line(row["case"], row["class"], voxels, agreement, notes, row["image"]))
    return lines
