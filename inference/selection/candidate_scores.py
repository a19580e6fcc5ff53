"""Compares every configuration, and every pair of configurations, with the references, and chooses the best.

A pair predicts with the mean of its two configurations' probabilities, on the image's own grid. In: the
out-of-fold probabilities and the reference of each case. Out: voxel counts, Dice, and the chosen candidate.
The probabilities are interpolated once, slab by slab. Only voxels are compared in which some configuration
gives the background less than half: elsewhere no mean can predict foreground.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import ImageError
from autoseg.image.annotated_classes import EVERY, AnnotatedClasses, known_outputs
from autoseg.image.geometry import ROUNDING_VOXELS, slices_of
from autoseg.image.image import read_label
from autoseg.image.labels import Labels
from autoseg.metrics import Counts
from autoseg.preprocessing.resample import Box
from autoseg.run_folder.preprocessed_case import CaseRecord
from autoseg.whole_image.case_probabilities import CaseProbabilities
from autoseg.whole_image.mixture import Mixture
from autoseg.whole_image.out_of_fold import read_probabilities
from inference.selection.jackknife import jackknife_error

Candidate = tuple[str, ...]
"""Names of the one or two configurations that predict together."""

STANDARD_ERRORS = 2.0
"""A pair's gain over the best single configuration must exceed this many standard errors of the gain."""

# a half, plus room for the rounding of interpolation
_HALF = 0.501
_SLAB_BYTES = 128 * 2**20


@dataclass(frozen=True)
class CaseFiles:
    """Files of a case: its reference, and its out-of-fold probabilities by each configuration.

    Args:
        case: name of the case.
        reference: file of the reference label map.
        probabilities: folder of the out-of-fold probabilities, by name of the configuration.
        annotated: classes that were looked for in the reference.
    """

    case: str
    reference: Path
    probabilities: dict[str, Path]
    annotated: AnnotatedClasses = EVERY

    def read(self, configurations: Sequence[str], *, overlapping: bool = False) -> list[CaseProbabilities]:
        """Read the out-of-fold probabilities of these configurations, in their order.

        Args:
            configurations: names of the configurations.
            overlapping: whether the probabilities are those of regions.

        Raises:
            RunFolderError: a file of probabilities is missing or damaged.
        """
        return [
            read_probabilities(self.probabilities[name], self.case, overlapping=overlapping) for name in configurations
        ]

    def read_reference(self, record: CaseRecord, labels: Labels) -> NDArray[np.uint8]:
        """Read the reference as class indices (z, y, x) on the whole reoriented image.

        Args:
            record: says how the image was prepared; its reorientation is applied to the reference.
            labels: label values of the classes.

        Raises:
            ImageError: the file cannot be read, or does not lie on the image's grid.
            DatasetError: the file holds a label value that is not declared.
        """
        image = read_label(self.reference)
        if record.stored.largest_offset(image.geometry) > ROUNDING_VOXELS:
            raise ImageError(f"{self.reference}: does not lie on the grid that case {self.case} was predicted on")
        return labels.to_classes(np.ascontiguousarray(record.reorientation.apply(image.array[0])))


def candidates_of(configurations: Sequence[str]) -> tuple[Candidate, ...]:
    """All candidates: each configuration alone, then every pair of configurations."""
    return (*((name,) for name in configurations), *combinations(configurations, 2))


def count_case(files: CaseFiles, candidates: Sequence[Candidate], labels: Labels) -> list[tuple[Counts, ...]]:
    """Count the true and false voxels of each candidate in one case.

    Args:
        files: files of the case.
        candidates: candidates to count for.
        labels: label values and names of the classes.

    Returns:
        For each candidate the voxel counts of every foreground class or region; ignored voxels are not counted, nor any
        voxel for a class that nobody looked for.

    Raises:
        RunFolderError, ImageError, DatasetError: see `CaseFiles`.
    """
    names = list(dict.fromkeys(name for candidate in candidates for name in candidate))
    predicted = files.read(names, overlapping=labels.overlapping)
    record = Mixture(predicted).record  # raises where the members are not of one image
    mixtures = [Mixture([one]) for one in predicted]
    truth = files.read_reference(record, labels)
    members = [[names.index(name) for name in candidate] for candidate in candidates]
    shared = np.zeros((len(candidates), len(labels.foreground) + 1), dtype=np.int64)
    positive = np.zeros_like(shared)
    crop = truth[slices_of(record.crop)]
    count_slab = _count_slab_of_regions if labels.overlapping else _count_slab
    for box in _slabs(crop.shape, len(names) * labels.outputs):
        count_slab(mixtures, members, crop[box], box, labels, shared, positive)
    annotated = labels.annotated(truth)
    total = truth.size if annotated is None else int(np.count_nonzero(annotated))
    reference = [int(np.count_nonzero(labels.mask(truth, i + 1))) for i in range(len(labels.foreground))]
    known = known_outputs(labels, files.annotated)
    return [
        tuple(
            _counts(int(s), int(p), r, total) if is_known else Counts(0, 0, 0, 0)
            for s, p, r, is_known in zip(*rows, reference, known, strict=True)
        )
        for rows in zip(shared[:, 1:], positive[:, 1:], strict=True)
    ]


def dice_table(counts: Sequence[Sequence[Sequence[Counts]]]) -> NDArray[np.float64]:
    """Dice (candidate, case, class) from voxel counts nested by case, candidate and class; nan where undefined."""
    values = [[[np.nan if c.dice is None else c.dice for c in of_one] for of_one in of_case] for of_case in counts]
    return np.asarray(values, dtype=np.float64).swapaxes(0, 1)


def mean_over_classes(dice: NDArray[np.float64]) -> float | None:
    """Mean over classes of the mean over cases, computed as in evaluation.

    Args:
        dice: (case, class); undefined values (nan) are left out.

    Returns:
        None where no value is defined.
    """
    means = [of_class[~np.isnan(of_class)].mean() for of_class in dice.T if not np.isnan(of_class).all()]
    return float(np.mean(means)) if means else None


def best_candidate(candidates: Sequence[Candidate], dice: NDArray[np.float64]) -> int:
    """Index of the single configuration with the largest mean Dice, or of the pair that is clearly better.

    A pair takes twice the time to predict, and among many pairs one is a little better by chance. So a pair's gain
    must exceed two standard errors of the gain (in the manner of the one-standard-error rule of Breiman et al.,
    Classification and Regression Trees 1984, section 3.4.3; docs/experiments/selection.md compares several numbers
    of standard errors). Of several such pairs the one with the largest mean Dice is chosen.

    Args:
        candidates: all candidates, at least one of which is a single configuration.
        dice: (candidate, case, class), nan where undefined.
    """
    order = ranked(candidates, dice)
    single = best_single(candidates, order)
    for i in order[: order.index(single)]:
        gain, error = gain_over(dice[single], dice[i])
        if gain > STANDARD_ERRORS * error + 1e-12:
            return i
    return single


def best_single(candidates: Sequence[Candidate], order: Sequence[int]) -> int:
    """Index of the best candidate that is a single configuration.

    Args:
        candidates: names of every single configuration, and of every pair of them.
        order: indices of all candidates, the best first, as `ranked` returns them.
    """
    return next(i for i in order if len(candidates[i]) == 1)


def gain_over(single: NDArray[np.float64], pair: NDArray[np.float64]) -> tuple[float, float]:
    """Gain in mean Dice of a pair over a single configuration, and the jackknife standard error of the gain.

    Args:
        single: Dice (case, class) of the single configuration.
        pair: Dice (case, class) of the pair, for the same cases.
    """

    def gain(kept: NDArray[np.intp]) -> float:
        return (mean_over_classes(pair[kept]) or 0.0) - (mean_over_classes(single[kept]) or 0.0)

    cases = np.arange(len(single))
    return gain(cases), jackknife_error([gain(cases[cases != i]) for i in cases])


def ranked(candidates: Sequence[Candidate], dice: NDArray[np.float64]) -> list[int]:
    """Indices of all candidates by mean Dice, the best first; candidates without a defined Dice come last.

    Args:
        candidates: all candidates; of two with equal Dice, a single configuration comes before a pair.
        dice: (candidate, case, class), nan where undefined.
    """
    means = [mean_over_classes(of_candidate) for of_candidate in dice]
    worth = [-1.0 if mean is None else round(mean, 9) for mean in means]
    return sorted(range(len(candidates)), key=lambda i: (-worth[i], len(candidates[i]), i))


def chosen_without(
    candidates: Sequence[Candidate], dice: NDArray[np.float64], folds: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Dice of each fold's cases under the candidate that is chosen on the cases of the other folds.

    Args:
        candidates: names of every single configuration, and of every pair of them.
        dice: (candidate, case, class), nan where undefined.
        folds: (case,) fold of each case; at least two different folds.

    Returns:
        Dice (case, class) of the chosen candidate, and Dice (case, class) of the best single configuration.
    """
    chosen, single = np.empty(dice.shape[1:]), np.empty(dice.shape[1:])
    for fold in np.unique(folds):
        inside, others = folds == fold, folds != fold
        of_others = dice[:, others]
        chosen[inside] = dice[best_candidate(candidates, of_others)][inside]
        single[inside] = dice[best_single(candidates, ranked(candidates, of_others))][inside]
    return chosen, single


def _count_slab(
    mixtures: Sequence[Mixture],
    members: Sequence[Sequence[int]],
    truth: NDArray[np.uint8],
    box: Box,
    labels: Labels,
    shared: NDArray[np.int64],
    positive: NDArray[np.int64],
) -> None:
    """Add the predicted voxels of `box` to `positive`, and the right ones of them to `shared` (candidate, class)."""
    background = [mixture.mean(0, box) for mixture in mixtures]
    likely = np.minimum.reduce(background) <= _HALF
    if (annotated := labels.annotated(truth)) is not None:
        likely &= annotated
    voxels = np.flatnonzero(likely)
    if voxels.size == 0:
        return
    classes = mixtures[0].classes
    values = np.empty((len(mixtures), classes, voxels.size), dtype=np.float32)
    for value, mixture, of_background in zip(values, mixtures, background, strict=True):
        value[0] = of_background.ravel()[voxels]
        for index in range(1, classes):
            value[index] = mixture.mean(index, box).ravel()[voxels]
    right = truth.ravel()[voxels]
    for i, of_candidate in enumerate(members):
        total = values[of_candidate[0]]
        for other in of_candidate[1:]:
            total = total + values[other]
        winner = total.argmax(axis=0)
        positive[i] += np.bincount(winner, minlength=classes)
        shared[i] += np.bincount(winner[winner == right], minlength=classes)


def _count_slab_of_regions(
    mixtures: Sequence[Mixture],
    members: Sequence[Sequence[int]],
    truth: NDArray[np.uint8],
    box: Box,
    labels: Labels,
    shared: NDArray[np.int64],
    positive: NDArray[np.int64],
) -> None:
    """As `_count_slab`, for regions: those of the label map that a candidate predicts, as evaluation has them."""
    annotated = labels.annotated(truth)
    regions = range(1, len(labels.regions) + 1)
    values = [[mixture.mean(index, box) for index in regions] for mixture in mixtures]
    for i, of_candidate in enumerate(members):
        means = (sum(values[member][r] for member in of_candidate) / len(of_candidate) for r in range(len(regions)))
        predicted = labels.of_regions(np.asarray(mean > 0.5) for mean in means)
        if annotated is not None:
            predicted *= annotated
        for index in regions:
            mask = labels.mask(predicted, index)
            positive[i, index] += np.count_nonzero(mask)
            shared[i, index] += np.count_nonzero(mask & labels.mask(truth, index))


def _slabs(shape: tuple[int, ...], layers: int) -> Iterator[Box]:
    """Boxes of whole planes, so thin that `layers` float32 arrays of one box take at most `_SLAB_BYTES`."""
    depth, y, x = shape
    thickness = max(1, _SLAB_BYTES // (4 * layers * y * x))
    for start in range(0, depth, thickness):
        yield slice(start, min(start + thickness, depth)), slice(0, y), slice(0, x)


def _counts(shared: int, predicted: int, reference: int, total: int) -> Counts:
    return Counts(shared, predicted - shared, reference - shared, total - predicted - reference + shared)
