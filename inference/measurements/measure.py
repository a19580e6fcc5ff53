"""Measures a predicted image for `measurements.csv`, and finds the place that a preview shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoseg.plan.plan import Plan
from autoseg.preprocessing.region import Part
from autoseg.whole_image.mixture import Mixture
from inference.case_table import Row
from inference.measurements.agreement import MemberMap, class_agreement
from inference.measurements.check_order import BORDER, UNLIKE
from inference.measurements.classes import ClassMeasurement, Place, measured_classes
from inference.measurements.table import rows_of
from inference.predicted_part import reaches_border


@dataclass(frozen=True)
class MeasuredCase:
    """What is measured of an image.

    Args:
        rows: rows of `measurements.csv`, one for each class.
        place: a voxel (z, y, x) of the largest finding on the reoriented image; None where nothing is found.
    """

    rows: list[Row]
    place: Place | None


def measured_case(
    case: str,
    classes: NDArray[np.uint8],
    mixture: Mixture,
    maps: Sequence[MemberMap],
    plan: Plan,
    notes: Sequence[str],
    image: str = "",
) -> MeasuredCase:
    """Measure a predicted image.

    Args:
        case: name of the case.
        classes: predicted class indices (z, y, x) of the whole reoriented image.
        mixture: probabilities on the grid of the image's crop.
        maps: label maps of the members; fewer than two have no agreement.
        plan: gives classes and regions, and which of them are lesions.
        notes: what is said of the case.
        image: path of its image.
    """
    found = measured_classes(classes, mixture, plan.labels)
    rows = rows_of(case, found, class_agreement(maps, plan.labels), notes, image)
    return MeasuredCase(rows, _largest_finding(found, plan.lesions))


def notes_of(part: Part, classes: NDArray[np.uint8], odd: Sequence[str]) -> tuple[str, ...]:
    """What is said of a case in `measurements.csv`: its kind, and more after a colon.

    Args:
        part: part of the image that was predicted.
        classes: predicted class indices (z, y, x) of the whole reoriented image.
        odd: in what the image is unlike the training cases, a sentence each.
    """
    border = (BORDER,) if part.why_whole is None and reaches_border(part, classes) else ()
    return (*border, *(f"{UNLIKE}: {sentence}" for sentence in odd))


def _largest_finding(found: Sequence[ClassMeasurement], lesions: Sequence[str]) -> Place | None:
    """The place of the largest component of a class of lesions or, where there is none, of any class."""
    there = [one for one in found if one.place is not None]
    of_lesions = [one for one in there if one.name in lesions]
    largest = max(of_lesions or there, key=lambda one: one.component_voxels, default=None)
    return None if largest is None else largest.place
