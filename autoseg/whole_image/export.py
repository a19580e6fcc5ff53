"""Probabilities at a plan's spacing back to the image they belong to.

Interpolated and, where there are several configurations, averaged by `mixture`; the crop is pasted
into the whole image, and flips and permutations of the axes are undone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from autoseg.image.image import Image
from autoseg.image.labels import Labels
from autoseg.run_folder.preprocessed_case import CaseRecord
from autoseg.whole_image.mixture import Mixture, crop_of, most_probable
from autoseg.whole_image.predicted import Predicted


def export_labels(probabilities: NDArray[np.floating], record: CaseRecord, labels: Labels) -> Image:
    """The label map of predicted probabilities.

    Args:
        probabilities: (K, z, y, x) at the record's shape and spacing; they sum to 1 over the classes.
        record: how the case was prepared.
        labels: the data set's values.

    Returns:
        (1, z, y, x) in the data set's values at the stored geometry; background outside the crop.
    """
    return label_image(most_probable([Predicted(probabilities, record)]), record, labels)


def label_image(classes: NDArray[np.uint8], record: CaseRecord, labels: Labels) -> Image:
    """The label map of class indices.

    Args:
        classes: (z, y, x) of the whole reoriented image.
        record: how the case was prepared.
        labels: the data set's values.

    Returns:
        (1, z, y, x) in the data set's values at the stored geometry.
    """
    return Image(labels.to_values(record.reorientation.undo(classes))[None], record.stored)


def export_probabilities(members: Sequence[Predicted], labels: Labels) -> Iterator[tuple[int, Image]]:
    """For each class its probability, the mean over configurations, one after the other so that memory holds one.

    Args:
        members: what each configuration predicted, of one image.
        labels: the data set's values.

    Yields:
        The file value of a class and its probability, (1, z, y, x) float32 at the stored geometry;
        outside the crop the background's is 1.
    """
    mixture = Mixture(members)
    record = mixture.record
    for index, value in enumerate(labels.values):
        whole = np.full(record.reoriented.shape, 1.0 if index == 0 else 0.0, dtype=np.float32)
        target = whole[crop_of(record)]
        for planes in mixture.slabs():
            target[planes] = mixture.mean(index, (planes, slice(0, target.shape[1]), slice(0, target.shape[2])))
        yield value, Image(np.ascontiguousarray(record.reorientation.undo(whole))[None], record.stored)
