"""Probabilities at a plan's spacing back to the image they belong to.

Probabilities are interpolated linearly (nearest along an anisotropic axis, nnU-Net's rule), the
largest one decides, the crop is pasted into the whole image, and flips and permutations of the axes
are undone. All this goes slab by slab and class by class: beyond the probabilities as they were
predicted, only the label map is held at full resolution, never all classes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from autoseg.image import Image
from autoseg.labels import Labels
from autoseg.preprocessed import CaseRecord
from autoseg.preprocessing.resample import Axes, interpolations, resample_box, slabs

# leaves room for the rounding of probabilities in half precision
ALMOST = 0.9


def export_labels(probabilities: NDArray[np.floating], record: CaseRecord, labels: Labels) -> Image:
    """The label map of predicted probabilities.

    Args:
        probabilities: (K, z, y, x) at the record's shape and spacing; they sum to 1 over the classes.
        record: how the case was prepared.
        labels: the data set's values.

    Returns:
        (1, z, y, x) in the data set's values at the stored geometry; background outside the crop.
    """
    axes = _axes_back(record)
    classes = np.zeros(record.reoriented.shape, dtype=np.uint8)
    target = classes[_crop(record)]
    for planes in slabs(axes):
        _decide(probabilities, axes, planes, target[planes])
    return Image(labels.to_values(record.reorientation.undo(classes))[None], record.stored)


def export_probabilities(
    probabilities: NDArray[np.floating], record: CaseRecord, labels: Labels
) -> Iterator[tuple[int, Image]]:
    """For each class its file value and its probability, one after the other so that memory holds one.

    Args:
        probabilities: (K, z, y, x) at the record's shape and spacing.
        record: how the case was prepared.
        labels: the data set's values.
    """
    for index, value in enumerate(labels.values):
        yield value, export_probability(probabilities, record, index)


def export_probability(probabilities: NDArray[np.floating], record: CaseRecord, index: int) -> Image:
    """The probability of one class, (1, z, y, x) float32 at the stored geometry.

    Args:
        probabilities: (K, z, y, x) at the record's shape and spacing.
        record: how the case was prepared.
        index: of the class; outside the crop the background's probability is 1.
    """
    axes = _axes_back(record)
    whole = np.full(record.reoriented.shape, 1.0 if index == 0 else 0.0, dtype=np.float32)
    target = whole[_crop(record)]
    for planes in slabs(axes):
        target[planes] = resample_box(
            probabilities[index], axes, (planes, _all(axes[1].outputs), _all(axes[2].outputs))
        )
    return Image(np.ascontiguousarray(record.reorientation.undo(whole))[None], record.stored)


def _axes_back(record: CaseRecord) -> Axes:
    return interpolations(record.shape, record.spacing, record.cropped_shape, record.reoriented.spacing, order=1)


def _crop(record: CaseRecord) -> tuple[slice, ...]:
    return tuple(slice(a, b) for a, b in zip(record.crop_lower, record.crop_upper, strict=True))


def _all(length: int) -> slice:
    return slice(0, length)


def _decide(probabilities: NDArray[np.floating], axes: Axes, planes: slice, out: NDArray[np.uint8]) -> None:
    """Write the most probable class (the first of equal ones) of the planes `planes` into `out`.

    The most probable of K classes has a probability of 1/K at least, and linear interpolation never
    exceeds the values it is made of: a class is interpolated only around voxels that reach 1/K.
    """
    needed = axes[0].needed(planes)
    enough = ALMOST / len(probabilities)
    best = np.zeros(out.shape, dtype=np.float32)
    for index, of_class in enumerate(probabilities):
        likely = _at_least(of_class[needed], enough)
        rows, columns = np.flatnonzero(likely.any(axis=(0, 2))), np.flatnonzero(likely.any(axis=(0, 1)))
        if rows.size == 0:
            continue
        box = (
            planes,
            axes[1].touched(slice(int(rows[0]), int(rows[-1]) + 1)),
            axes[2].touched(slice(int(columns[0]), int(columns[-1]) + 1)),
        )
        interpolated = resample_box(of_class, axes, box)
        best_here, out_here = best[:, box[1], box[2]], out[:, box[1], box[2]]
        wins = interpolated > best_here
        np.copyto(best_here, interpolated, where=wins)
        np.copyto(out_here, np.uint8(index), where=wins)


def _at_least(array: NDArray[np.floating], value: float) -> NDArray[np.bool_]:
    """Where an array of non-negative numbers reaches a positive value."""
    if array.dtype == np.float16:
        # their bits, read as integers, are in the same order and compare seven times as fast
        return array.view(np.uint16) >= np.float16(value).view(np.uint16)
    return array >= value
