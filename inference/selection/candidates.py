"""Every configuration, and every pair, against the references: voxel counts of a case, and the choice.

A pair is the mean of two configurations' probabilities on the image's own grid. They are interpolated
once, slab by slab, and compared only where some configuration gives the background less than half:
elsewhere no mean can have foreground.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import ImageError
from autoseg.image.image import read_label
from autoseg.image.labels import Labels
from autoseg.metrics import Counts
from autoseg.preprocessing.resample import Box
from autoseg.run_folder.preprocessed_case import CaseRecord
from autoseg.whole_image.mixture import Mixture, crop_of
from autoseg.whole_image.out_of_fold import read_probabilities
from autoseg.whole_image.predicted import Predicted
from inference.compare import LARGEST_OFFSET
from inference.selection.jackknife import jackknife_error

Candidate = tuple[str, ...]
"""Names of the configurations that predict together."""

STANDARD_ERRORS = 2.0
"""As many of the gain's a pair has to gain on the best single configuration."""

# leaves room for the rounding of interpolation
_HALF = 0.501
_SLAB_BYTES = 128 * 2**20


@dataclass(frozen=True)
class CaseFiles:
    """Where a case's reference lies, and its out-of-fold probabilities by configuration.

    Args:
        probabilities: folder of each configuration.
    """

    case: str
    reference: Path
    probabilities: dict[str, Path]

    def read(self, configurations: Sequence[str]) -> list[Predicted]:
        """The probabilities by these configurations.

        Raises:
            RunFolderError: some are missing or damaged.
        """
        return [read_probabilities(self.probabilities[name], self.case) for name in configurations]

    def read_reference(self, record: CaseRecord, labels: Labels) -> NDArray[np.uint8]:
        """Class indices (z, y, x) of the reference on the whole reoriented image.

        Raises:
            ImageError: it cannot be read, or does not lie on the image's grid.
            DatasetError: it holds a value that is not declared.
        """
        image = read_label(self.reference)
        if record.stored.largest_offset(image.geometry) > LARGEST_OFFSET:
            raise ImageError(f"{self.reference}: does not lie on the grid that case {self.case} was predicted on")
        return labels.to_classes(np.ascontiguousarray(record.reorientation.apply(image.array[0])))


def candidates_of(configurations: Sequence[str]) -> tuple[Candidate, ...]:
    """Each configuration alone, then every pair."""
    return (*((name,) for name in configurations), *combinations(configurations, 2))


def count_case(files: CaseFiles, candidates: Sequence[Candidate], labels: Labels) -> list[tuple[Counts, ...]]:
    """Voxel counts of each candidate in one case, by foreground class.

    Raises:
        RunFolderError, ImageError, DatasetError: see `CaseFiles`.
    """
    names = list(dict.fromkeys(name for candidate in candidates for name in candidate))
    predicted = files.read(names)
    record = Mixture(predicted).record  # refuses what is not of one image
    mixtures = [Mixture([one]) for one in predicted]
    truth = files.read_reference(record, labels)
    members = [[names.index(name) for name in candidate] for candidate in candidates]
    shared = np.zeros((len(candidates), labels.classes), dtype=np.int64)
    positive = np.zeros_like(shared)
    crop = truth[crop_of(record)]
    for box in _slabs(crop.shape, len(names) * labels.classes):
        _count_slab(mixtures, members, crop[box], box, shared, positive)
    reference = np.bincount(truth.ravel(), minlength=labels.classes)
    return [
        tuple(_counts(int(s), int(p), int(r), truth.size) for s, p, r in zip(*rows, reference[1:], strict=True))
        for rows in zip(shared[:, 1:], positive[:, 1:], strict=True)
    ]


def dice_table(counts: Sequence[Sequence[Sequence[Counts]]]) -> NDArray[np.float64]:
    """Dice from counts by case, candidate and class: (candidate, case, class), nan where not defined."""
    values = [[[np.nan if c.dice is None else c.dice for c in of_one] for of_one in of_case] for of_case in counts]
    return np.asarray(values, dtype=np.float64).swapaxes(0, 1)


def mean_dice(dice: NDArray[np.float64]) -> float | None:
    """Mean over classes of the mean over cases of (case, class), undefined values left out, as in evaluation."""
    means = [of_class[~np.isnan(of_class)].mean() for of_class in dice.T if not np.isnan(of_class).all()]
    return float(np.mean(means)) if means else None


def best_candidate(candidates: Sequence[Candidate], dice: NDArray[np.float64]) -> int:
    """The single configuration of the largest mean Dice, or the pair that gains most on it.

    A pair takes twice the time to predict, and of many pairs one is a little better by chance: it has to gain more
    than two standard errors of the gain (in the manner of the one-standard-error rule of Breiman et al.,
    Classification and Regression Trees 1984, section 3.4.3; docs/experiments/selection.md compares numbers of them).

    Args:
        candidates: as they are; one at least is single.
        dice: (candidate, case, class).
    """
    order = ranked(candidates, dice)
    single = best_single(candidates, order)
    for i in order[: order.index(single)]:
        gain, error = gain_over(dice[single], dice[i])
        if gain > STANDARD_ERRORS * error + 1e-12:
            return i
    return single


def best_single(candidates: Sequence[Candidate], order: Sequence[int]) -> int:
    """The first in the order that is one configuration."""
    return next(i for i in order if len(candidates[i]) == 1)


def gain_over(single: NDArray[np.float64], pair: NDArray[np.float64]) -> tuple[float, float]:
    """How much the second mean Dice is above the first, and the standard error of it by leaving out case after case.

    Args:
        single: Dice (case, class).
        pair: the same of the same cases.
    """

    def gain(kept: NDArray[np.intp]) -> float:
        return (mean_dice(pair[kept]) or 0.0) - (mean_dice(single[kept]) or 0.0)

    cases = np.arange(len(single))
    return gain(cases), jackknife_error([gain(cases[cases != i]) for i in cases])


def ranked(candidates: Sequence[Candidate], dice: NDArray[np.float64]) -> list[int]:
    """All candidates, the best first; one without a defined Dice is last."""
    means = [mean_dice(of_candidate) for of_candidate in dice]
    worth = [-1.0 if mean is None else round(mean, 9) for mean in means]
    return sorted(range(len(candidates)), key=lambda i: (-worth[i], len(candidates[i]), i))


def chosen_without(
    candidates: Sequence[Candidate], dice: NDArray[np.float64], folds: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Dice (case, class) of what is best on the other folds' cases: of all candidates, and of single ones.

    Args:
        candidates: as they are.
        dice: (candidate, case, class).
        folds: fold of each case; two different ones at least.
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
    shared: NDArray[np.int64],
    positive: NDArray[np.int64],
) -> None:
    """Add, by candidate and class, the voxels of `box` that are predicted, and those of them that are right."""
    background = [mixture.mean(0, box) for mixture in mixtures]
    voxels = np.flatnonzero(np.minimum.reduce(background) <= _HALF)
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


def _slabs(shape: tuple[int, ...], layers: int) -> Iterator[Box]:
    """Boxes of whole planes of which so many layers in single precision stay within memory."""
    depth, y, x = shape
    thickness = max(1, _SLAB_BYTES // (4 * layers * y * x))
    for start in range(0, depth, thickness):
        yield slice(start, min(start + thickness, depth)), slice(0, y), slice(0, x)


def _counts(shared: int, predicted: int, reference: int, total: int) -> Counts:
    return Counts(shared, predicted - shared, reference - shared, total - predicted - reference + shared)
