"""Finds the predicted lesions of an image and measures what their score follows from.

In: the class indices that are written, and the probabilities that they come from. Out: one `PredictedLesion` for each
connected component (26 neighbours). Probabilities are interpolated slab by slab, so that memory holds one slab.
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import slices_of
from autoseg.metrics.lesions import equivalent_diameter
from autoseg.whole_image.mixture import Mixture

CERTAIN = 1e-3
"""Probabilities are taken as at least this and at most 1 minus this: 8 bits tell no more."""


@dataclass(frozen=True)
class PredictedLesion:
    """A connected component of a class in a prediction.

    Args:
        voxels: number of its voxels.
        volume_ml: its volume.
        mean_probability, largest_probability: over its voxels, of its class.
        centre: mean place (z, y, x) in voxels of the reoriented image.
        touches: numbers of the reference's lesions that it touches; empty where there are none or no reference.
    """

    voxels: int
    volume_ml: float
    mean_probability: float
    largest_probability: float
    centre: tuple[float, float, float]
    touches: tuple[int, ...] = ()

    @property
    def diameter_mm(self) -> float:
        """Diameter of the ball of equal volume."""
        return equivalent_diameter(self.volume_ml)

    @property
    def features(self) -> tuple[float, float, float]:
        """What the score follows from, as `LesionScores.of` takes it."""
        mean, largest = _logit(self.mean_probability), _logit(self.largest_probability)
        return mean, largest, float(np.log(self.volume_ml))


def predicted_lesions(
    classes: NDArray[np.uint8], mixture: Mixture, index: int, reference: NDArray[np.bool_] | None = None
) -> list[PredictedLesion]:
    """Find the predicted lesions of a class, in the order of cc3d's component numbers.

    Args:
        classes: predicted class indices (z, y, x) of the whole reoriented image.
        mixture: probabilities on the grid of the image's crop.
        index: class index of the lesions.
        reference: lesions (z, y, x) of the reference; None = there is none.
    """
    record = mixture.record
    parts, count = cc3d.connected_components(
        np.ascontiguousarray(classes[slices_of(record.crop)] == index), connectivity=26, return_N=True
    )
    sizes, sums, largest = np.zeros(count + 1, np.int64), np.zeros(count + 1), np.zeros(count + 1)
    places = np.zeros((3, count + 1))
    whole = slice(0, parts.shape[1]), slice(0, parts.shape[2])
    for planes in mixture.slabs():
        where = np.nonzero(parts[planes])
        numbers = parts[planes][where]
        if not numbers.size:
            continue
        probability = mixture.mean(index, (planes, *whole))[where].astype(np.float64)
        sizes += np.bincount(numbers, minlength=count + 1)
        sums += np.bincount(numbers, probability, minlength=count + 1)
        np.maximum.at(largest, numbers, probability)
        for axis, start in enumerate((planes.start, 0, 0)):
            places[axis] += np.bincount(numbers, where[axis] + start, minlength=count + 1)
    touched = _touched(parts, count, None if reference is None else reference, record.crop_lower)
    voxel_ml = float(np.prod(record.reoriented.spacing)) / 1000
    lower = np.asarray(record.crop_lower)
    found = []
    for number in range(1, count + 1):
        z, y, x = (places[:, number] / sizes[number] + lower).tolist()
        found.append(
            PredictedLesion(
                voxels=int(sizes[number]),
                volume_ml=float(sizes[number] * voxel_ml),
                mean_probability=float(sums[number] / sizes[number]),
                largest_probability=float(largest[number]),
                centre=(z, y, x),
                touches=touched[number],
            )
        )
    return found


def _touched(
    parts: NDArray[np.integer], count: int, reference: NDArray[np.bool_] | None, lower: tuple[int, int, int]
) -> list[tuple[int, ...]]:
    """Numbers of the reference's lesions that each component touches; entry 0 is that of no component."""
    touched: list[set[int]] = [set() for _ in range(count + 1)]
    if reference is not None:
        lesions = cc3d.connected_components(np.ascontiguousarray(reference), connectivity=26)
        inside = lesions[tuple(slice(a, a + n) for a, n in zip(lower, parts.shape, strict=True))]
        both = (parts > 0) & (inside > 0)
        for part, lesion in np.unique(np.stack([parts[both], inside[both]]), axis=1).T.tolist():
            touched[part].add(lesion)
    return [tuple(sorted(numbers)) for numbers in touched]


def _logit(probability: float) -> float:
    inside = min(max(probability, CERTAIN), 1 - CERTAIN)
    return float(np.log(inside / (1 - inside)))
