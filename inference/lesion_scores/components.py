"""Measures the lesions of an image, predicted or annotated ones: their size, place and probability.

In: masks, and the probabilities of the classes. Out: one `MeasuredLesion` for each connected component (26
neighbours). Probabilities are interpolated slab by slab; the numbers of the components take 4 bytes a voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import slices_of
from autoseg.metrics.lesions import equivalent_diameter, judged_components, shared_voxels
from autoseg.whole_image.mixture import Mixture

CERTAIN = 1e-3
"""Probabilities are taken as at least this and at most 1 minus this: 8 bits tell no more."""


@dataclass(frozen=True)
class MeasuredLesion:
    """A connected component of a class, in a prediction or in a reference.

    Args:
        voxels: number of its voxels.
        volume_ml: its volume in ml.
        mean_probability, largest_probability: over its voxels, of its class.
        centre: mean place (z, y, x) in voxels of the reoriented image.
        touches: of a predicted one, the numbers of the reference's lesions of its class that it touches; else empty.
        met: whether a lesion of any class lies there in the other one of prediction and reference.
        looked_at: whether some of it lies in the part of the image that was predicted.
    """

    voxels: int
    volume_ml: float
    mean_probability: float
    largest_probability: float
    centre: tuple[float, float, float]
    touches: tuple[int, ...] = ()
    met: bool = False
    looked_at: bool = True

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
    predicted: NDArray[np.bool_],
    mixture: Mixture,
    index: int,
    reference: NDArray[np.bool_] | None = None,
    others: NDArray[np.bool_] | None = None,
    known: NDArray[np.bool_] | None = None,
) -> list[MeasuredLesion]:
    """Measure the predicted lesions of a class, in the order of cc3d's component numbers.

    Args:
        predicted: predicted lesions (z, y, x) of the class on the whole reoriented image.
        mixture: probabilities on the grid of the image's crop.
        index: number of the class or region, from 1.
        reference: lesions (z, y, x) of the class in the reference; None = there is no reference.
        others: lesions (z, y, x) of any class in the reference; None = those of this class.
        known: annotated voxels (z, y, x); lesions that are not judged (`judged_components`) are left out. None = all.
    """
    parts, count = numbered(predicted)
    touched = [()] * (count + 1) if reference is None else _touched(parts, count, numbered(reference)[0])
    found = _measured(parts, count, mixture, index, touched, reference if others is None else others)
    if known is None:
        return found
    judged = judged_components(
        np.bincount(parts.ravel(), minlength=count + 1)[1:],
        np.bincount(parts[known], minlength=count + 1)[1:],
        np.array([bool(lesion.touches) for lesion in found], dtype=bool),
    )
    return [lesion for lesion, is_judged in zip(found, judged, strict=True) if is_judged]


def annotated_lesions(
    reference: NDArray[np.bool_], mixture: Mixture, index: int, predicted: NDArray[np.bool_]
) -> list[MeasuredLesion]:
    """Measure what the network makes of the reference's lesions, in the order of their numbers from 1.

    Args:
        reference: lesions (z, y, x) of the reference on the whole reoriented image.
        mixture: probabilities on the grid of the image's crop; outside of it they are 0.
        index: class index of the lesions.
        predicted: predicted lesions (z, y, x) of any class.
    """
    parts, count = numbered(reference)
    return _measured(parts, count, mixture, index, [()] * (count + 1), predicted)


def numbered_lesions(parts: NDArray[np.integer], count: int, mixture: Mixture, index: int) -> list[MeasuredLesion]:
    """Measure predicted lesions whose voxels are numbered already, in the order of their numbers from 1.

    Args:
        parts: number of the lesion at each voxel (z, y, x) of the whole reoriented image; 0 = none.
        count: number of lesions.
        mixture: probabilities on the grid of the image's crop.
        index: number of the class or region, from 1.
    """
    return _measured(parts, count, mixture, index, [()] * (count + 1), None)


def numbered(mask: NDArray[np.bool_]) -> tuple[NDArray[np.integer], int]:
    """Number of the connected component (26 neighbours) at each voxel (z, y, x), from 1, and how many there are."""
    return cc3d.connected_components(np.ascontiguousarray(mask), connectivity=26, return_N=True)


def _measured(
    parts: NDArray[np.integer],
    count: int,
    mixture: Mixture,
    index: int,
    touched: Sequence[tuple[int, ...]],
    others: NDArray[np.bool_] | None,
) -> list[MeasuredLesion]:
    """Measure components, of which the numbers are given for each voxel of the whole reoriented image."""
    met = np.bincount(parts[others], minlength=count + 1) if others is not None else np.zeros(count + 1, np.int64)
    record = mixture.record
    sums, largest = np.zeros(count + 1), np.zeros(count + 1)
    inside = parts[slices_of(record.crop)]
    looked_at = np.bincount(inside.ravel(), minlength=count + 1)
    whole = slice(0, inside.shape[1]), slice(0, inside.shape[2])
    for planes in mixture.slabs():
        where = np.nonzero(inside[planes])
        numbers = inside[planes][where]
        if numbers.size:
            probability = mixture.mean(index, (planes, *whole))[where].astype(np.float64)
            sums += np.bincount(numbers, probability, minlength=count + 1)
            np.maximum.at(largest, numbers, probability)
    places = np.nonzero(parts)
    numbers = parts[places]
    sizes = np.bincount(numbers, minlength=count + 1)
    centres = np.stack([np.bincount(numbers, along, minlength=count + 1) for along in places])
    voxel_ml = float(np.prod(record.reoriented.spacing)) / 1000
    found = []
    for number in range(1, count + 1):
        z, y, x = (centres[:, number] / sizes[number]).tolist()
        found.append(
            MeasuredLesion(
                voxels=int(sizes[number]),
                volume_ml=float(sizes[number] * voxel_ml),
                mean_probability=float(sums[number] / sizes[number]),
                largest_probability=float(largest[number]),
                centre=(z, y, x),
                touches=touched[number],
                met=bool(met[number]),
                looked_at=bool(looked_at[number]),
            )
        )
    return found


def _touched(parts: NDArray[np.integer], count: int, lesions: NDArray[np.integer]) -> list[tuple[int, ...]]:
    """Numbers of the reference's lesions that each component touches; entry 0 is that of no component."""
    both = (parts > 0) & (lesions > 0)
    shared = shared_voxels(parts, lesions, both, (count + 1, int(lesions.max(initial=0)) + 1))
    return [tuple(sorted(numbers.tolist())) for numbers in np.split(shared.indices, shared.indptr[1:-1])]


def _logit(probability: float) -> float:
    inside = min(max(probability, CERTAIN), 1 - CERTAIN)
    return float(np.log(inside / (1 - inside)))
