"""Brings predictions at a configuration's spacing back to the grid of the stored image.

`mixture` interpolates the probabilities and averages those of several configurations. Then the crop is pasted
into the whole image, and flips and permutations of the axes are undone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import slices_of
from autoseg.image.image import Image
from autoseg.image.labels import Labels
from autoseg.run_folder.preprocessed_case import CaseRecord
from autoseg.whole_image.case_probabilities import CaseProbabilities
from autoseg.whole_image.mixture import Mixture, predicted_classes


def export_labels(probabilities: NDArray[np.floating], record: CaseRecord, labels: Labels) -> Image:
    """Make the label map of predicted probabilities.

    Args:
        probabilities: probabilities (K, z, y, x) of classes or regions at the record's shape and spacing.
        record: reorientation, crop and resampling of the case.
        labels: labels of the data set, with their values.

    Returns:
        The label map (1, z, y, x) with the data set's values at the stored geometry; background outside the crop.
    """
    return label_image(
        predicted_classes([CaseProbabilities(probabilities, record, labels.overlapping)], labels), record, labels
    )


def label_image(classes: NDArray[np.uint8], record: CaseRecord, labels: Labels) -> Image:
    """Make the label map of class indices.

    Args:
        classes: class indices (z, y, x) of the whole reoriented image.
        record: reorientation, crop and resampling of the case.
        labels: labels of the data set, with their values.

    Returns:
        The label map (1, z, y, x) with the data set's values at the stored geometry, and its NIfTI transforms.
    """
    return Image(labels.to_values(record.reorientation.undo(classes))[None], record.stored, nifti=record.nifti)


def export_probabilities(members: Sequence[CaseProbabilities], labels: Labels) -> Iterator[tuple[int, Image]]:
    """Yield the probability of each class or region, averaged over configurations; memory holds one at a time.

    Args:
        members: predictions of one image, one for each configuration.
        labels: labels of the data set, with their values.

    Yields:
        The value of a class, or the number of a region from 1, and its probability (1, z, y, x) float32 at the stored
        geometry; outside the crop the probability of the background is 1.
    """
    mixture = Mixture(members)
    record = mixture.record
    numbered = enumerate(range(1, mixture.classes), start=1) if labels.overlapping else enumerate(labels.values)
    for index, value in numbered:
        whole = np.full(record.reoriented.shape, 1.0 if index == 0 else 0.0, dtype=np.float32)
        target = whole[slices_of(record.crop)]
        for planes in mixture.slabs():
            target[planes] = mixture.mean(index, (planes, slice(0, target.shape[1]), slice(0, target.shape[2])))
        array = np.ascontiguousarray(record.reorientation.undo(whole))[None]
        yield value, Image(array, record.stored, nifti=record.nifti)
