"""Computes Dice and detection of each class in one case, for every setting of post-processing.

In: the out-of-fold probabilities and the reference of a case. Out: `Outcomes` for each class. Every threshold
gives a mask of the class, and every mask its connected components. What is removed by size follows from a table of
the components, without going back to the voxels. So one pass over the case serves the whole grid of settings, and
fitting is arithmetic on small arrays. Of a region the mask is taken that the written label map shows, where other
regions lie over it and under it; there each set of kept components has a mask of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

from autoseg.image.annotated_classes import known_outputs
from autoseg.image.geometry import Spacing, slices_of
from autoseg.image.labels import Labels
from autoseg.metrics.lesions import judged_components
from autoseg.preprocessing.crop import box_of
from autoseg.run_folder.selection import PLAIN_THRESHOLD, ClassRule
from autoseg.whole_image.mixture import Mixture
from inference.post_processing import kept_components
from inference.selection.candidate_scores import Candidate, CaseFiles

THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
LARGEST_ONLY = (False, True)
DIAMETERS_MM = (0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0)
GRID = (len(THRESHOLDS), len(LARGEST_ONLY), len(DIAMETERS_MM))
Setting = tuple[int, int, int]
"""Indices into `THRESHOLDS`, `LARGEST_ONLY` and `DIAMETERS_MM`."""
PLAIN: Setting = (THRESHOLDS.index(PLAIN_THRESHOLD), 0, 0)


@dataclass(frozen=True)
class Outcomes:
    """Outcomes of one class in one case under every setting; the arrays have the shape `GRID`.

    Args:
        dice: Dice; nan where neither reference nor prediction has the class.
        found: number of lesions (reference components) that the prediction touches.
        predicted: number of predicted components that post-processing keeps and that are judged.
        false: number of those predicted components that touch no lesion.
        lesions: number of connected components of the reference.
    """

    dice: NDArray[np.float64]
    found: NDArray[np.int64]
    predicted: NDArray[np.int64]
    false: NDArray[np.int64]
    lesions: int


def rule_of(name: str, setting: Setting) -> ClassRule:
    """The rule that a setting stands for, for the class `name`."""
    threshold, largest, diameter = setting
    return ClassRule(
        name=name,
        threshold=THRESHOLDS[threshold],
        largest_component=LARGEST_ONLY[largest],
        minimal_diameter_mm=DIAMETERS_MM[diameter],
    )


def outcomes_of_case(files: CaseFiles, candidate: Candidate, labels: Labels) -> list[Outcomes | None]:
    """Outcomes of each foreground class or region in one case; the others keep the threshold 0.5 and all components.

    It is None for those that nobody looked for in the case.

    Args:
        files: files of the case.
        candidate: names of the configurations whose probabilities are averaged.
        labels: label values and names of the classes.

    Raises:
        RunFolderError, ImageError, DatasetError: see `CaseFiles`.
    """
    mixture = Mixture(files.read(candidate, overlapping=labels.overlapping))
    record = mixture.record
    truth = files.read_reference(record, labels)
    spacing = record.reoriented.spacing
    competitors = None if labels.overlapping else _Competitors(mixture)
    annotated = labels.annotated(truth)
    plain = [_of_region(mixture, index + 1) > PLAIN_THRESHOLD for index in range(len(labels.regions))]
    outcomes: list[Outcomes | None] = []
    for index, is_known in enumerate(known_outputs(labels, files.annotated), start=1):
        if not is_known:
            outcomes.append(None)
            continue
        if competitors is None:
            own, competing, written = _of_region(mixture, index), None, _Written.around(plain, index, labels)
        else:
            (own, competing), written = competitors.of_class(index), None
        of_class = labels.mask(truth, index)
        outcomes.append(_outcomes(own, competing, of_class, slices_of(record.crop), spacing, annotated, written))
    return outcomes


def _of_region(mixture: Mixture, index: int) -> NDArray[np.float32]:
    """Probability (z, y, x) of a region on the crop; no class competes with it."""
    own = np.empty(mixture.record.cropped_shape, np.float32)
    for planes in mixture.slabs():
        own[planes] = mixture.mean(index, (planes, slice(0, own.shape[1]), slice(0, own.shape[2])))
    return own


@dataclass(frozen=True)
class _Written:
    """What the written label map makes of a region: which voxels it shows as the region's, by those of its mask.

    The regions are written one over the other (`Labels.of_regions`), so that one which is written later hides it or,
    where it lies inside, adds to it. All arrays are (z, y, x).

    Args:
        within: voxels that the label map shows as the region's where they are in its mask.
        without: voxels that it shows as the region's where they are not in its mask.
    """

    within: NDArray[np.bool_]
    without: NDArray[np.bool_]

    @classmethod
    def around(cls, masks: Sequence[NDArray[np.bool_]], index: int, labels: Labels) -> _Written:
        """Of a region, where the others stay as they are.

        Args:
            masks: mask (z, y, x) of each region.
            index: number of the region, from 1.
            labels: regions of the data set.
        """

        def shown(inside: bool) -> NDArray[np.bool_]:
            own = np.full(masks[index - 1].shape, inside)
            return labels.mask(labels.of_regions([*masks[: index - 1], own, *masks[index:]]), index)

        return cls(within=shown(True), without=shown(False))

    def cut(self, box: tuple[slice, ...]) -> _Written:
        """The same in a box."""
        return _Written(self.within[box], self.without[box])

    def shown(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Voxels (z, y, x) that the label map shows as the region's, by its mask (z, y, x)."""
        return np.where(mask, self.within, self.without)


class _Competitors:
    """Largest and second largest probability in each voxel of the crop, and the class that has the largest."""

    def __init__(self, mixture: Mixture) -> None:
        self._mixture = mixture
        shape = mixture.record.cropped_shape
        self._best, self._second = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._winner = np.zeros(shape, np.uint8)
        for planes in mixture.slabs():
            best, second, winner = self._best[planes], self._second[planes], self._winner[planes]
            for index in range(mixture.classes):
                value = mixture.mean(index, (planes, slice(0, shape[1]), slice(0, shape[2])))
                wins = value > best
                np.copyto(second, np.where(wins, best, np.maximum(second, value)))
                np.copyto(best, value, where=wins)
                np.copyto(winner, np.uint8(index), where=wins)

    def of_class(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probability of a class, and the largest probability of the competing classes, both (z, y, x) of the crop."""
        competing = np.where(self._winner == index, self._second, self._best)
        own = np.empty_like(competing)
        for planes in self._mixture.slabs():
            own[planes] = self._mixture.mean(index, (planes, slice(0, own.shape[1]), slice(0, own.shape[2])))
        return own, competing


def _outcomes(
    own: NDArray[np.float32],
    competing: NDArray[np.float32] | None,
    truth: NDArray[np.bool_],
    crop: tuple[slice, ...],
    spacing: Spacing,
    annotated: NDArray[np.bool_] | None = None,
    written: _Written | None = None,
) -> Outcomes:
    """Outcomes of one class.

    Args:
        own: probability (z, y, x) of the class, on the crop.
        competing: probability (z, y, x) of the competing class, on the crop; None = none competes with a region.
        truth: voxels (z, y, x) of the class in the reference, on the whole image.
        crop: the crop, in voxels of the image.
        spacing: spacing (z, y, x) in mm.
        annotated: annotated voxels (z, y, x) of the whole image; None = all.
        written: what the label map shows of a region, on the crop; None = a class, of which it shows all.
    """
    lesions, count = cc3d.connected_components(np.ascontiguousarray(truth), connectivity=26, return_N=True)
    reference = int(np.count_nonzero(truth))
    # no other threshold predicts a voxel outside the mask of the lowest one
    any_mask = _above(own, competing, THRESHOLDS[0])
    lower, upper = box_of(any_mask if written is None else any_mask | written.without)
    box = tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))
    own, competing, lesions = own[box], None if competing is None else competing[box], lesions[crop][box]
    known = None if annotated is None else annotated[crop][box]
    written = None if written is None else written.cut(box)
    dice, found = np.full(GRID, np.nan), np.zeros(GRID, np.int64)
    predicted, false = np.zeros(GRID, np.int64), np.zeros(GRID, np.int64)
    for t, threshold in enumerate(THRESHOLDS):
        shown = _shown(_above(own, competing, threshold), lesions, known, written)
        for largest, only in enumerate(LARGEST_ONLY):
            for d, diameter in enumerate(DIAMETERS_MM):
                rule = ClassRule(name="", largest_component=only, minimal_diameter_mm=diameter)
                setting = t, largest, d
                # what is predicted where nothing is annotated decides which components are kept
                table, kept = shown(rule, spacing)
                size = int(table.counted[kept].sum()) + reference
                if size:
                    dice[setting] = 2 * table.right[kept].sum() / size
                found[setting] = np.count_nonzero(np.bincount(table.touched[kept[table.touching]]))
                judged = kept & judged_components(table.sizes, table.counted, table.is_touching)
                predicted[setting] = np.count_nonzero(judged)
                false[setting] = np.count_nonzero(judged & ~table.is_touching)
    return Outcomes(dice, found, predicted, false, int(count))


def _shown(
    mask: NDArray[np.bool_], lesions: NDArray[np.integer], known: NDArray[np.bool_] | None, written: _Written | None
) -> Callable[[ClassRule, Spacing], tuple[_Components, NDArray[np.bool_]]]:
    """A function from a rule to the components that the label map shows by it, and which of them it keeps.

    Args:
        mask: voxels (z, y, x) of the class under a threshold.
        lesions: number of the reference's lesion at each voxel (z, y, x).
        known: annotated voxels (z, y, x); None = all.
        written: what the label map shows of a region; None = a class, of which it shows all.
    """
    parts, count = cc3d.connected_components(np.ascontiguousarray(mask), connectivity=26, return_N=True)
    table = _components(parts, count, lesions, known)
    made: dict[bytes, _Components] = {}

    def of_class(rule: ClassRule, spacing: Spacing) -> tuple[_Components, NDArray[np.bool_]]:
        return table, kept_components(table.sizes, rule, spacing)

    def of_region(rule: ClassRule, spacing: Spacing) -> tuple[_Components, NDArray[np.bool_]]:
        assert written is not None
        kept = kept_components(table.sizes, rule, spacing)
        # most settings keep the same components
        if (key := kept.tobytes()) not in made:
            left = written.shown(np.concatenate([[False], kept])[parts])
            made[key] = _components(
                *cc3d.connected_components(np.ascontiguousarray(left), connectivity=26, return_N=True), lesions, known
            )
        return made[key], np.ones(len(made[key].sizes), dtype=bool)

    return of_class if written is None else of_region


def _above(own: NDArray[np.float32], competing: NDArray[np.float32] | None, threshold: float) -> NDArray[np.bool_]:
    """Voxels of a class under a threshold, as prediction has them."""
    if competing is None:
        return own > threshold
    return np.asarray(own * np.float32(ClassRule(name="", threshold=threshold).weight) > competing)


@dataclass(frozen=True)
class _Components:
    """The connected components of a mask.

    Args:
        sizes: (component,) number of voxels.
        counted: (component,) number of annotated voxels.
        right: (component,) number of voxels that have the class in the reference.
        touching: (pair,) index of the component of each pair of a component and a lesion that share a voxel.
        touched: (pair,) number of the lesion of each of these pairs.
    """

    sizes: NDArray[np.int64]
    counted: NDArray[np.int64]
    right: NDArray[np.int64]
    touching: NDArray[np.int64]
    touched: NDArray[np.int64]

    @property
    def is_touching(self) -> NDArray[np.bool_]:
        """Mask (component,) of the components that share a voxel with a lesion."""
        found = np.zeros(len(self.sizes), dtype=bool)
        found[self.touching] = True
        return found


def _components(
    parts: NDArray[np.integer], parts_count: int, lesions: NDArray[np.integer], known: NDArray[np.bool_] | None
) -> _Components:
    sizes = np.bincount(parts.ravel(), minlength=parts_count + 1)[1:]
    counted = sizes if known is None else np.bincount(parts[known], minlength=parts_count + 1)[1:]
    both = (parts > 0) & (lesions > 0)
    of_part, of_lesion = parts[both].astype(np.int64), lesions[both].astype(np.int64)
    right = np.bincount(of_part, minlength=parts_count + 1)[1:]
    # a table (lesion, component) would grow with the square of their number
    width = int(lesions.max(initial=0)) + 1
    touching, touched = np.divmod(np.unique((of_part - 1) * width + of_lesion), width)
    return _Components(sizes, counted, right, touching, touched)
