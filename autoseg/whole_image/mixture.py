"""Averages the probabilities of one image over several configurations, on the image's own grid.

Each member is the prediction of one configuration, at its own spacing. Its probabilities are interpolated linearly
(nearest along an anisotropic axis, nnU-Net's rule) to the voxels of the crop. There the members are averaged, and
the class with the largest mean is taken. This is done slab by slab and class by class: memory holds the predicted
probabilities and one slab at full resolution, never all classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import slices_of
from autoseg.image.labels import Labels
from autoseg.preprocessing.resample import Axes, Box, interpolations, resample_box, slabs
from autoseg.run_folder.preprocessed_case import CaseRecord
from autoseg.whole_image.case_probabilities import CaseProbabilities

# factor on the bound in `_decide`, to allow for probabilities that are rounded in half precision
ALMOST = 0.9


class _Member(NamedTuple):
    probabilities: NDArray
    axes: Axes
    unit: float


class Mixture:
    """Mean of the members' probabilities on the grid of the reoriented image's crop.

    Args:
        members: predictions of one image, one for each configuration; at least one.

    Raises:
        ValueError: there is no member, or the members differ in image, crop or classes.
    """

    def __init__(self, members: Sequence[CaseProbabilities]) -> None:
        kinds = {(_image_of(m.record), len(m.probabilities), m.overlapping) for m in members}
        if len(kinds) != 1:
            raise ValueError("a mixture needs members of one image, one crop and one number of classes")
        self.record = members[0].record
        self.overlapping = members[0].overlapping
        # the probability of the background is the first, and regions have none
        self._first = 1 if self.overlapping else 0
        self.classes = len(members[0].probabilities) + self._first
        self._members = [_Member(m.probabilities, _axes_back(m.record), m.unit) for m in members]

    def slabs(self) -> list[slice]:
        """Ranges of planes of the crop along z that are small enough in memory for every member."""
        return max((list(slabs(member.axes)) for member in self._members), key=len)

    def mean(self, index: int, box: Box) -> NDArray[np.float32]:
        """Mean probability of class or region `index` in a part `box` (z, y, x) of the crop.

        Foreground classes and regions are counted from 1; 0 is the background, which regions do not have.
        """
        assert index >= self._first
        count = len(self._members)
        total: NDArray[np.float32] | None = None
        for member in self._members:
            part = resample_box(member.probabilities[index - self._first], member.axes, box)
            if count * member.unit != 1:
                part = part * np.float32(1 / (count * member.unit))
            total = part if total is None else total + part
        assert total is not None
        return total

    def likely(self, index: int, planes: slice, enough: float) -> Box | None:
        """The box in `planes` outside of which the mean of `index` is below `enough`; None if it is everywhere.

        Linear interpolation never exceeds its input values, and a mean never exceeds its largest
        member. So only voxels near those in which some member reaches `enough` can reach it.
        """
        rows, columns = [], []
        for member in self._members:
            source = member.probabilities[index - self._first][member.axes[0].needed(planes)]
            reached = _at_least(source, enough * member.unit)
            y, x = np.flatnonzero(reached.any(axis=(0, 2))), np.flatnonzero(reached.any(axis=(0, 1)))
            if y.size == 0:
                continue
            row = member.axes[1].touched(slice(int(y[0]), int(y[-1]) + 1))
            column = member.axes[2].touched(slice(int(x[0]), int(x[-1]) + 1))
            # on a coarser output grid, no output voxel may depend on these input voxels
            if row.start < row.stop and column.start < column.stop:
                rows.append(row)
                columns.append(column)
        return (planes, _hull(rows), _hull(columns)) if rows else None


def most_probable(members: Sequence[CaseProbabilities], weights: Sequence[float] | None = None) -> NDArray[np.uint8]:
    """Class of each voxel of the whole reoriented image; background outside the crop. Not for regions.

    Args:
        members: predictions of one image, one for each configuration, which are averaged.
        weights: positive factor for each class, by which its probability is multiplied before the class with the
            largest product is taken (the first of equal ones); None = 1 for all.

    Returns:
        Class indices (z, y, x) uint8.

    Examples:
        Two configurations predict an image of four voxels in a row, with one class beside the background. Where they
        disagree, the mean of their probabilities decides.

        >>> import numpy as np
        >>> from autoseg.image.geometry import IDENTITY, Geometry
        >>> row = Geometry((1, 1, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))
        >>> record = CaseRecord(
        ...     case="a",
        ...     stored=row,
        ...     reorientation=IDENTITY,
        ...     crop_lower=(0, 0, 0),
        ...     crop_upper=row.shape,
        ...     spacing=row.spacing,
        ...     shape=row.shape,
        ...     present=(True,),
        ... )
        >>> def predicted(*lesion):
        ...     probability = np.array(lesion).reshape(row.shape)
        ...     return CaseProbabilities(np.stack([1 - probability, probability]), record)
        >>> members = [predicted(0.1, 0.9, 0.9, 0.4), predicted(0.1, 0.9, 0.3, 0.4)]
        >>> most_probable(members)
        array([[[0, 1, 1, 0]]], dtype=uint8)

        A class with a weight of 3 wins from a probability of 0.25 on.

        >>> most_probable(members, weights=(1, 3))
        array([[[0, 1, 1, 1]]], dtype=uint8)
    """
    mixture = Mixture(members)
    factors = [1.0] * mixture.classes if weights is None else [float(weight) for weight in weights]
    classes = np.zeros(mixture.record.reoriented.shape, dtype=np.uint8)
    target = classes[slices_of(mixture.record.crop)]
    for planes in mixture.slabs():
        _decide(mixture, factors, planes, target[planes])
    return classes


def region_mask(mixture: Mixture, index: int, threshold: float = 0.5) -> NDArray[np.bool_]:
    """Voxels of the whole reoriented image in which the probability of a region exceeds a threshold.

    Args:
        mixture: probabilities of regions at each configuration's spacing, of the part that is predicted.
        index: number of the region, from 1.
        threshold: probability that must be exceeded; positive.
    """
    inside = np.zeros(mixture.record.reoriented.shape, dtype=bool)
    target = inside[slices_of(mixture.record.crop)]
    for planes in mixture.slabs():
        if (box := mixture.likely(index, planes, ALMOST * threshold)) is not None:
            target[box] = mixture.mean(index, box) > threshold
    return inside


def predicted_classes(members: Sequence[CaseProbabilities], labels: Labels) -> NDArray[np.uint8]:
    """Class indices (z, y, x) of the whole reoriented image, without post-processing.

    Args:
        members: predictions of one image, one for each configuration, which are averaged.
        labels: classes and regions of the data set.
    """
    if not labels.overlapping:
        return most_probable(members)
    mixture = Mixture(members)
    return labels.of_regions(region_mask(mixture, index) for index in range(1, mixture.classes))


def _image_of(record: CaseRecord) -> tuple[object, ...]:
    return record.stored, record.reorientation, record.crop_lower, record.crop_upper


def _axes_back(record: CaseRecord) -> Axes:
    return interpolations(record.shape, record.spacing, record.cropped_shape, record.reoriented.spacing, order=1)


def _hull(ranges: Sequence[slice]) -> slice:
    return slice(min(part.start for part in ranges), max(part.stop for part in ranges))


def _decide(mixture: Mixture, weights: Sequence[float], planes: slice, out: NDArray[np.uint8]) -> None:
    """Write the class with the largest weighted probability (the first of equal ones) of `planes` into `out`.

    The most probable of K classes has a probability of at least 1/K, so the largest weighted probability is at
    least the smallest weight / K. Therefore each class is interpolated only around voxels that reach this bound,
    and the background only where another class does. `out` is 0, the background, at first.
    """
    enough = ALMOST * min(weights) / len(weights)
    boxes = {k: mixture.likely(k, planes, enough / weights[k]) for k in range(1, len(weights))}
    foreground = {k: box for k, box in boxes.items() if box is not None}
    if not foreground:
        return
    # outside of this box no competing class is likely, so the background wins
    around = (planes, _hull([box[1] for box in foreground.values()]), _hull([box[2] for box in foreground.values()]))
    best = np.zeros(out.shape, dtype=np.float32)
    best[:, around[1], around[2]] = _score(mixture, 0, weights[0], around)
    for index, box in foreground.items():
        score = _score(mixture, index, weights[index], box)
        best_here, out_here = best[:, box[1], box[2]], out[:, box[1], box[2]]
        wins = score > best_here
        np.copyto(best_here, score, where=wins)
        np.copyto(out_here, np.uint8(index), where=wins)


def _score(mixture: Mixture, index: int, weight: float, box: Box) -> NDArray[np.float32]:
    """Weighted mean probability of a class in a box."""
    score = mixture.mean(index, box)
    return score if weight == 1 else score * np.float32(weight)


def _at_least(array: NDArray, value: float) -> NDArray[np.bool_]:
    """Mask of the voxels in which an array of non-negative numbers reaches a positive value."""
    if array.dtype == np.uint8:
        # rounding down is safe: the probability before quantisation may have been half a level higher
        return array >= np.uint8(min(int(value), 255))
    if array.dtype == np.float16:
        # the bits of non-negative floats, read as integers, have the same order and compare seven times as fast
        return array.view(np.uint16) >= np.float16(value).view(np.uint16)
    return array >= value
