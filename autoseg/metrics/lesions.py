"""Lesion-wise detection: connected components of reference and prediction, matched by overlap.

A lesion is a connected component (26 neighbours) of a class. A lesion of the reference is *found*
if the prediction marks at least one of its voxels as that class, else *missed*. A component of the
prediction is *false* if it overlaps with no voxel of the class in the reference. So one predicted
component may find several lesions, and several components may find one lesion. The size of a lesion is the diameter
of the ball of equal volume.

Three more figures tell how well a lesion is outlined, since one voxel is enough to find it. Its overlap (IoU) with the
best predicted component leads to panoptic quality (Kirillov et al., CVPR 2019, section 4.1). Its Dice is taken with all
components that touch it; and within its region, the voxels that are nearer to it than to any other lesion, so that each
false voxel counts against one lesion (CC-Dice; Jaus et al., Every Component Counts, arXiv:2410.18684).

Where voxels are not annotated, components are those of the whole prediction, and `judged_components` says which of them
count. Volumes and overlaps are those of annotated voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from statistics import mean

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, generate_binary_structure
from scipy.sparse import coo_array, csr_array
from scipy.spatial import cKDTree

from autoseg.image.geometry import Spacing

BIN_EDGES_MM = (0.0, 5.0, 10.0, 20.0, float("inf"))
"""Edges of the size bins of lesions: equivalent diameter in mm; a bin includes its lower edge."""

VOLUME_EDGES_ML = (0.0, 1.0, float("inf"))
"""Edges of the volume bins of lesions in ml, with the cut that oncologists use; a bin includes its lower edge."""

LEAST_IOU = 0.5
"""IoU above which a predicted component and a lesion are the same one in panoptic quality."""


@dataclass(frozen=True)
class Lesion:
    """One lesion of the reference.

    Args:
        volume_ml: volume of the lesion in ml.
        overlap: fraction of its voxels that the prediction marks; above 0 means that the lesion is found.
        dice: Dice of the lesion and all predicted components that overlap with it; 0 where it is missed.
        iou: IoU of the lesion and the predicted component with which it is largest; 0 where it is missed.
        region_dice: Dice of the lesion and all that is predicted nearer to it than to any other lesion.
    """

    volume_ml: float
    overlap: float
    dice: float
    iou: float
    region_dice: float

    @property
    def matched(self) -> bool:
        """Whether a predicted component is this lesion, for panoptic quality: only one can have such an IoU."""
        return self.iou > LEAST_IOU

    @property
    def found(self) -> bool:
        """Whether the prediction marks any voxel of the lesion."""
        return self.overlap > 0

    @property
    def diameter_mm(self) -> float:
        """Diameter in mm of the ball of equal volume."""
        return equivalent_diameter(self.volume_ml)


@dataclass(frozen=True)
class LesionMatch:
    """Lesion detection for one class in one case.

    Args:
        lesions: lesions of the reference, in the order of cc3d's component numbers.
        predicted: number of components of the prediction that are judged, see `judged_components`.
        false: number of predicted components that overlap with no lesion.
    """

    lesions: tuple[Lesion, ...]
    predicted: int
    false: int

    @property
    def found(self) -> int:
        """Number of lesions of the reference that the prediction overlaps with."""
        return sum(lesion.found for lesion in self.lesions)

    @property
    def missed(self) -> int:
        """Number of lesions of the reference that the prediction does not overlap with."""
        return len(self.lesions) - self.found

    @property
    def region_dice(self) -> float | None:
        """Mean over the lesions of the Dice within a lesion's region (CC-Dice); None without lesions."""
        return mean(lesion.region_dice for lesion in self.lesions) if self.lesions else None


def equivalent_diameter(volume_ml: float) -> float:
    """Diameter in mm of the ball with a volume in ml."""
    return float(equivalent_diameters(np.asarray(volume_ml)))


def equivalent_diameters(volumes_ml: NDArray[np.number]) -> NDArray[np.float64]:
    """Diameters in mm of the balls with these volumes in ml."""
    return np.cbrt(6000.0 / pi * volumes_ml)


def f_beta(sensitivity: float | None, precision: float | None, beta: float) -> float | None:
    """Weighted harmonic mean in which sensitivity counts `beta` times as much as precision.

    (1 + beta²) precision sensitivity / (beta² precision + sensitivity) (van Rijsbergen 1979); 0 where both are 0.

    Args:
        sensitivity: found lesions / all lesions; None = not defined, and then the result is None.
        precision: predicted components that overlap with a lesion / all of them; None = as for `sensitivity`.
        beta: weight of the sensitivity: 1 for F1, 2 for F2.
    """
    if sensitivity is None or precision is None:
        return None
    return float(f_betas(np.asarray(sensitivity), np.asarray(precision), beta))


def f_betas(sensitivity: NDArray[np.float64], precision: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    """`f_beta` of each pair of values in two arrays; all values must be defined."""
    below = np.asarray(beta**2 * precision + sensitivity)
    return np.asarray((1 + beta**2) * precision * sensitivity / np.where(below > 0, below, 1.0))


def shared_voxels(
    lesions: NDArray[np.integer], parts: NDArray[np.integer], both: NDArray[np.bool_], shape: tuple[int, int]
) -> csr_array:
    """Number of voxels that each lesion shares with each predicted component, as a sparse matrix.

    Args:
        lesions: number of the lesion at each voxel (z, y, x).
        parts: number of the predicted component at each voxel (z, y, x).
        both: voxels (z, y, x) that are counted: those of a lesion and of a component.
        shape: shape of the matrix: one more than the largest number of a lesion, and of a component.
    """
    # the sparse matrix sums up entries of one place
    return coo_array((np.ones(np.count_nonzero(both), np.int64), (lesions[both], parts[both])), shape=shape).tocsr()


def judged_components(
    sizes: NDArray[np.integer], annotated: NDArray[np.integer], touching: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Mask (component,) of the predicted components that are judged, true or false: the rule of all of autoseg.

    A component is judged if it touches a lesion of the reference, or if at least half of it is annotated. Of others
    nobody knows whether a lesion lies there.

    Args:
        sizes: (component,) number of voxels of each component of the whole prediction.
        annotated: (component,) number of those that are annotated.
        touching: (component,) whether it shares a voxel with a lesion of the reference.
    """
    return np.asarray(touching | (2 * annotated >= sizes))


def match_lesions(
    reference: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    spacing: Spacing,
    annotated: NDArray[np.bool_] | None = None,
) -> LesionMatch:
    """Find the connected components of two masks and match them by overlap.

    Args:
        reference: reference mask (z, y, x) of one class.
        prediction: predicted mask (z, y, x) of the class, also where nothing is annotated.
        spacing: spacing (z, y, x) in mm.
        annotated: annotated voxels (z, y, x); None = all.
    """
    lesions, n_lesions = cc3d.connected_components(np.ascontiguousarray(reference), connectivity=26, return_N=True)
    parts, n_parts = cc3d.connected_components(np.ascontiguousarray(prediction), connectivity=26, return_N=True)
    sizes = np.bincount(lesions.ravel(), minlength=n_lesions + 1)
    whole_sizes = np.bincount(parts.ravel(), minlength=n_parts + 1)
    part_sizes = whole_sizes if annotated is None else np.bincount(parts[annotated], minlength=n_parts + 1)
    both = reference & prediction
    shared = shared_voxels(lesions, parts, both, (n_lesions + 1, n_parts + 1))
    intersection: NDArray[np.int64] = np.asarray(shared.sum(axis=1))
    touching: NDArray[np.int64] = np.asarray((shared > 0) @ part_sizes)
    voxel_ml = float(np.prod(spacing)) / 1000
    iou = _best_iou(shared, sizes, part_sizes)
    in_region = _predicted_in_regions(lesions, prediction if annotated is None else prediction & annotated, spacing)
    touched = np.asarray(shared.sum(axis=0))[1:] > 0
    judged = judged_components(whole_sizes[1:], part_sizes[1:], touched)
    return LesionMatch(
        lesions=tuple(
            Lesion(
                volume_ml=float(sizes[i] * voxel_ml),
                overlap=float(intersection[i] / sizes[i]),
                dice=float(2 * intersection[i] / (sizes[i] + touching[i])),
                iou=float(iou[i]),
                region_dice=float(2 * intersection[i] / (sizes[i] + in_region[i])),
            )
            for i in range(1, n_lesions + 1)
        ),
        predicted=int(np.count_nonzero(judged)),
        false=int(np.count_nonzero(judged & ~touched)),
    )


def _best_iou(shared: csr_array, sizes: NDArray[np.int64], part_sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Largest IoU of each lesion with any predicted component; entry 0 is that of no lesion."""
    best = np.zeros(len(sizes))
    pairs = shared.tocoo()
    lesion, part = pairs.coords
    np.maximum.at(best, lesion, pairs.data / (sizes[lesion] + part_sizes[part] - pairs.data))
    return best


def _predicted_in_regions(
    lesions: NDArray[np.integer], prediction: NDArray[np.bool_], spacing: Spacing
) -> NDArray[np.int64]:
    """Number of predicted voxels in the region of each lesion: those that are nearer to it, in mm, than to another one.

    Args:
        lesions: number of the lesion at each voxel (z, y, x), from 1; 0 elsewhere.
        prediction: predicted voxels (z, y, x).
        spacing: spacing (z, y, x) in mm.
    """
    count = int(lesions.max(initial=0))
    inside = np.bincount(lesions[prediction], minlength=count + 1)
    outside = prediction & (lesions == 0)
    if count == 0 or not outside.any():
        return inside
    if count == 1:
        return inside + np.array([0, np.count_nonzero(outside)])
    border = (lesions > 0) & ~binary_erosion(lesions > 0, generate_binary_structure(3, 1))
    mm = np.asarray(spacing)
    places = np.argwhere(border)
    numbers, tree = lesions[border], cKDTree(places * mm)
    # plane by plane: a poor prediction may have a hundred million voxels outside of lesions
    for z, plane in enumerate(outside):
        rows, columns = np.nonzero(plane)
        if rows.size:
            _, nearest = tree.query(np.stack([np.full(rows.size, z), rows, columns], axis=1) * mm)
            inside += np.bincount(numbers[nearest], minlength=count + 1)
    return inside
