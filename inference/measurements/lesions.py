"""Measures the predicted lesions of an image: the rows of `predicted_lesions.csv`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import cc3d
import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import flat_axis
from autoseg.image.labels import Labels
from autoseg.metrics.diameters import DiametersByShape
from autoseg.plan.plan import Plan
from autoseg.run_folder.lesion_scores import LesionScores
from autoseg.whole_image.mixture import Mixture
from inference.case_table import Row
from inference.lesion_scores.components import numbered, numbered_lesions
from inference.lesion_scores.table import rows_of
from inference.measurements.agreement import Box, MemberMap, lesion_agreement
from inference.measurements.classes import axial_axis

MOST_COMPARED = 2000
"""Lesions of a class in a case whose agreement is measured: each takes a look at its surroundings in every member."""


def lesion_rows(
    case: str,
    classes: NDArray[np.uint8],
    mixture: Mixture,
    maps: Sequence[MemberMap],
    plan: Plan,
    scores: Mapping[str, LesionScores],
    tell: Callable[[str], None] = lambda sentence: None,
) -> Iterator[Row]:
    """Rows of the predicted lesions of a case, class by class.

    Args:
        case: name of the case.
        classes: predicted class indices (z, y, x) of the whole reoriented image.
        mixture: probabilities on the grid of the image's crop.
        maps: label maps of the members; fewer than two have no agreement.
        plan: names the classes that are lesions.
        scores: how lesions are scored, by class name.
        tell: called with a sentence for each class of which the agreement is not measured.
    """
    grid, labels = mixture.record.reoriented, plan.labels
    measure = DiametersByShape(grid.spacing, axial_axis(grid), flat_axis(grid.shape))
    for name in plan.lesions:
        index = labels.foreground.index(name) + 1
        parts, count = numbered(labels.mask(classes, index))
        found = numbered_lesions(parts, count, mixture, index)
        if len(maps) > 1 and count > MOST_COMPARED:
            tell(f"{count:,} predicted lesions of {name}; the agreement on each is measured up to {MOST_COMPARED:,}")
        boxes = cc3d.statistics(parts)["bounding_boxes"][1:] if count else []
        diameters = [measure.of(parts[box] == number) for number, box in enumerate(boxes, start=1)]
        extents = list(zip(diameters, agreement_of_each(maps, labels, index, parts, boxes), strict=True))
        yield from rows_of(case, name, found, extents, scores.get(name), grid)


def agreement_of_each(
    maps: Sequence[MemberMap], labels: Labels, index: int, parts: NDArray[np.integer], boxes: Sequence[Box]
) -> list[float | None]:
    """Agreement of the members on each predicted lesion of a class, in the order of their numbers.

    None for all of them where there are more than `MOST_COMPARED`.

    Args:
        maps: label maps of the members; fewer than two have no agreement.
        labels: classes and regions of the data set.
        index: number of the class or region, from 1.
        parts: number of the predicted lesion at each voxel (z, y, x) of the whole reoriented image; 0 = none.
        boxes: box (z, y, x) of each lesion in voxels of the reoriented image.
    """
    compared = maps if len(boxes) <= MOST_COMPARED else ()
    return [lesion_agreement(compared, labels, index, parts, number, box) for number, box in enumerate(boxes, start=1)]
