"""Scores out-of-fold probabilities at every threshold and smallest size: lesions found, false ones, Dice.

"Found" is said twice: one voxel is touched, and a predicted component overlaps with the lesion at an IoU of 0.1 and
more, so that coarse blobs gain nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

from autoseg.image.image import read_label
from autoseg.image.labels import Labels
from autoseg.metrics.lesions import judged_components, shared_voxels
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.whole_image.case_probabilities import CaseProbabilities
from autoseg.whole_image.export import export_probabilities
from autoseg.whole_image.out_of_fold import read_probabilities
from benchmarks.lesions.labels import ANATOMY

THRESHOLDS = (0.02, *(twentieth / 20 for twentieth in range(1, 20)), 0.98)
SMALLEST_ML = (0.0, 0.05, 0.1, 0.2, 0.5)
AS_RUN_LEAVES_IT = (0.5, 0.0)
LARGE_ML = 0.5
LEAST_IOU = 0.1


@dataclass(frozen=True)
class Scored:
    """One case at one threshold and smallest size.

    Args:
        case: name of the case.
        threshold: probability from which a voxel counts as a lesion.
        smallest_ml: predicted components of less volume are removed.
        lesions, large: number of lesions of the reference; those of `LARGE_ML` and more.
        found, found_large: those of which one voxel is touched.
        overlapped, overlapped_large: those that a component overlaps with at an IoU of `LEAST_IOU` and more.
        false: predicted components that are judged and touch no lesion.
        dice: Dice of the case; None where neither has a voxel.
    """

    case: str
    threshold: float
    smallest_ml: float
    lesions: int
    large: int
    found: int
    found_large: int
    overlapped: int
    overlapped_large: int
    false: int
    dice: float | None


def score_cases(run: RunFolder, configuration: str, cases: Iterable[str]) -> list[Scored]:
    """Score the out-of-fold probabilities of cases; classes or regions that are not in `ANATOMY` count as one."""
    plan, scored = read_plan(run.plan), list[Scored]()
    labels = plan.labels
    for case in cases:
        reference = read_label(run.case(configuration, case) / "reference.nii.gz")
        members = [read_probabilities(run.probabilities(configuration), case, overlapping=labels.overlapping)]
        classes = labels.to_classes(reference.array[0])
        lesions = np.zeros(classes.shape, dtype=bool)
        for index in lesion_outputs(labels):
            lesions |= labels.mask(classes, index)
        voxel_ml = float(np.prod(reference.geometry.spacing)) / 1000
        probability = probability_of_lesion(members, labels)
        scored += score(case, lesions, probability, voxel_ml, labels.annotated(classes))
    return scored


def lesion_outputs(labels: Labels) -> list[int]:
    """Numbers from 1 of the foreground classes or regions that are no anatomy."""
    return [index for index, name in enumerate(labels.foreground, start=1) if name not in ANATOMY]


def probability_of_lesion(members: Sequence[CaseProbabilities], labels: Labels) -> NDArray[np.float32]:
    """Probability of any lesion (z, y, x) at the stored geometry; of regions, which overlap, that of the likeliest."""
    wanted, found = lesion_outputs(labels), None
    for number, (_, image) in enumerate(export_probabilities(members, labels), start=int(labels.overlapping)):
        if labels.overlapping and number in wanted:
            found = image.array[0] if found is None else np.maximum(found, image.array[0])
        elif not labels.overlapping and number not in wanted:
            found = (1 if found is None else found) - image.array[0]
    assert found is not None
    return np.asarray(found, np.float32)


def score(
    case: str,
    reference: NDArray[np.bool_],
    probability: NDArray[np.float32],
    voxel_ml: float,
    annotated: NDArray[np.bool_] | None = None,
) -> Iterator[Scored]:
    """Score one case at every threshold and smallest size.

    Args:
        case: name of the case.
        reference: lesions (z, y, x).
        probability: probability of a lesion (z, y, x).
        voxel_ml: volume of a voxel in ml.
        annotated: annotated voxels (z, y, x); None = all.
    """
    lesions, count = cc3d.connected_components(np.ascontiguousarray(reference), connectivity=26, return_N=True)
    sizes = np.bincount(lesions.ravel(), minlength=count + 1)
    large = sizes[1:] * voxel_ml >= LARGE_ML
    for threshold in THRESHOLDS:
        parts, parts_count = cc3d.connected_components(probability >= threshold, connectivity=26, return_N=True)
        whole_sizes = np.bincount(parts.ravel(), minlength=parts_count + 1)
        part_sizes = whole_sizes if annotated is None else np.bincount(parts[annotated], minlength=parts_count + 1)
        both = (lesions > 0) & (parts > 0)
        shared = shared_voxels(lesions, parts, both, (count + 1, parts_count + 1)).toarray()
        for smallest in SMALLEST_ML:
            kept = whole_sizes[1:] * voxel_ml >= smallest
            touching = np.asarray((shared[1:, 1:] > 0).any(axis=0))
            judged = kept & judged_components(whole_sizes[1:], part_sizes[1:], touching)
            common = shared[1:, 1:] * kept
            union = sizes[1:, None] + part_sizes[None, 1:] - common
            found = (common > 0).any(axis=1)
            overlapped = (common >= LEAST_IOU * union).any(axis=1)
            predicted = int(part_sizes[1:][kept].sum())
            total = int(sizes[1:].sum()) + predicted
            yield Scored(
                case=case,
                threshold=threshold,
                smallest_ml=smallest,
                lesions=count,
                large=int(large.sum()),
                found=int(found.sum()),
                found_large=int((found & large).sum()),
                overlapped=int(overlapped.sum()),
                overlapped_large=int((overlapped & large).sum()),
                false=int((judged & ~touching).sum()),
                dice=2 * int(common.sum()) / total if total else None,
            )
