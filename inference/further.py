"""What is written beside label maps: measurements always, label maps of single models and previews if asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoseg.dataset.case import Case
from autoseg.errors import AutosegError
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, write_image
from autoseg.image.labels import Labels
from autoseg.run_folder.preprocessed_case import CaseRecord
from autoseg.whole_image.export import label_image
from inference.case_table import CaseTable
from inference.measurements.agreement import MemberMap
from inference.measurements.kept_members import KeptMembers

MEMBERS, PREVIEW = "members", "preview"


@dataclass(frozen=True)
class Further:
    """What is measured and written of every image.

    Args:
        measurements: the table `measurements.csv`.
        kept: how label maps of the single models are made; None = they are not.
        save_members: whether these are written.
        preview: whether a picture is drawn.
    """

    measurements: CaseTable
    kept: KeptMembers | None
    save_members: bool = False
    preview: bool = False


def further_files(case: str, target: Path, members: Sequence[str], *, preview: bool) -> tuple[Path, ...]:
    """Files that are written beside the label map of a case.

    Args:
        case: name of the case.
        target: file of its label map.
        members: names of the single models whose label maps are written.
        preview: whether a preview is drawn.
    """
    of_members = tuple(member_file(target, member) for member in members)
    return (*of_members, preview_file(target.parent, case)) if preview else of_members


def member_file(target: Path, member: str) -> Path:
    """File of the label map of a single model.

    Args:
        target: file of the label map of all models together.
        member: name of the model.
    """
    return target.parent / MEMBERS / member / target.name


def preview_file(output: Path, case: str) -> Path:
    """File of a case's preview in the folder of the predictions."""
    return output / PREVIEW / f"{case}.png"


def write_further(
    further: Further,
    case: Case,
    target: Path,
    classes: NDArray[np.uint8],
    record: CaseRecord,
    labels: Labels,
    maps: Sequence[MemberMap],
    place: tuple[int, int, int] | None,
) -> None:
    """Write what was asked for beside the label map of a case.

    Args:
        further: what is asked for.
        case: name and files of the case.
        target: file of the label map.
        classes: predicted class indices (z, y, x) of the whole reoriented image.
        record: reorientation, crop and resampling of the image.
        labels: classes and regions of the data set.
        maps: label maps of the single models.
        place: voxel (z, y, x) that the preview shows; None = the middle.
    """
    if further.save_members:
        for member in maps:
            write_image(member_file(target, member.name), label_image(member.whole(), record, labels))
    if further.preview:
        # imported where it is used, since it takes long to import
        from inference.report.preview import write_preview

        image = shown_image(case, record.stored)
        write_preview(
            preview_file(target.parent, case.name), case.name, image, classes, record.reoriented, labels, place
        )


def shown_image(case: Case, geometry: Geometry) -> Image | None:
    """The first sequence of a case on the grid of its label map; None where it cannot be read again."""
    from inference.report.background_image import on_grid

    path = next((image for image in case.images if image is not None), None)
    try:
        return None if path is None else on_grid(path, geometry)
    except (AutosegError, OSError):
        return None
