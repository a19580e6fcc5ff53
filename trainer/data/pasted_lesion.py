"""Pastes a lesion of one case into another one, where it may lie (after Yang et al., TumorCP, arXiv:2203.10507).

In: two opened cases with the same sequences. Out: the second case with the lesion in it, read box by box. A lesion
keeps its place relative to the case, give or take a tenth of the case's extent. The tissue around it must be about as
bright as that around it before; the difference that is left is added to the lesion. No patient looks like that: what it
does to results is not known (docs/plan.md#pasted-lesions).
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter

from autoseg.image.geometry import Shape, slices_of
from trainer.data.case_store import StoredCase
from trainer.data.sampling import as_shape

MARGIN = 3
"""Voxels around a lesion whose brightness is compared, and into which its edge fades."""

JITTER = 0.1
"""Largest distance to the same relative place, as a share of the case's extent along each axis."""

TRIES = 8
"""Places that are tried before nothing is pasted."""

SAME_TISSUE = 0.5
"""Largest difference of mean brightness around the lesion, in standard deviations of the whole image."""

EDGE_SD = 0.7
"""Standard deviation in voxels of the fading edge."""


@dataclass(frozen=True)
class CutLesion:
    """A lesion that was cut out, with a margin.

    Args:
        image: image (C, z, y, x) of the lesion and its margin, float32.
        mask: voxels (z, y, x) of the lesion.
        around: voxels (z, y, x) of the margin that have another class.
        index: class index of the lesion.
        host: class index of most of the margin: of the organ that the lesion lies in, or the background.
        place: middle of the lesion as a share (z, y, x) of the extent of its case.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]
    around: NDArray[np.bool_]
    index: int
    host: int
    place: NDArray[np.float64]


@dataclass(frozen=True)
class PastedCase:
    """A case with one more lesion.

    Args:
        case: the case as it is stored.
        lower: voxel (z, y, x) of the case at which the box of the lesion begins.
        image: image (C, z, y, x) of this box with the lesion in it.
        label: label (z, y, x) of this box with the lesion in it.
        voxels: voxels (n, 3) of the lesion in the case.
    """

    case: StoredCase
    lower: Shape
    image: NDArray[np.float32]
    label: NDArray[np.uint8]
    voxels: NDArray[np.int64]

    def read(self, lower: Shape, upper: Shape) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Copies of image (C, z, y, x) and label (z, y, x) of a box, as `StoredCase.read` gives them.

        Args:
            lower: first voxel (z, y, x) of the box.
            upper: last voxel (z, y, x) of the box, excluded.

        Raises:
            TrainingDataError: a file is damaged.
        """
        image, label = self.case.read(lower, upper)
        first = np.maximum(lower, self.lower)
        last = np.minimum(upper, np.add(self.lower, self.label.shape))
        if (first < last).all():
            into = slices_of((as_shape(first - lower), as_shape(last - lower)))
            of = slices_of((as_shape(first - self.lower), as_shape(last - self.lower)))
            image[:, *into], label[into] = self.image[:, *of], self.label[of]
        return image, label


def cut_lesion(case: StoredCase, rng: np.random.Generator, largest: Shape) -> CutLesion | None:
    """Cut out a lesion of a case, drawn like those on which patches are centred.

    Args:
        case: case with at least one lesion.
        rng: random generator that draws the lesion.
        largest: lesions that are longer (z, y, x, in voxels) are not cut out.

    Returns:
        None where the lesion is too large, reaches out of its box, or lies within a few voxels of the case's border.

    Raises:
        TrainingDataError: a file is damaged.
    """
    index, voxels = case.lesions.draw_lesion(rng)
    shape = np.asarray(case.record.shape)
    # the stored voxels are a sample of the lesion: its outermost ones may be missing
    lower, upper = voxels.min(axis=0) - 2 * MARGIN, voxels.max(axis=0) + 1 + 2 * MARGIN
    if (lower < 0).any() or (upper > shape).any() or (upper - lower - 4 * MARGIN > largest).any():
        return None
    image, label = case.read(as_shape(lower), as_shape(upper))
    parts = cc3d.connected_components(np.ascontiguousarray(label == index), connectivity=26)
    mask = parts == parts[tuple(voxels[0] - lower)]
    around = binary_dilation(mask, iterations=MARGIN) & (label != index)
    edges = np.ones(mask.shape, bool)
    edges[1:-1, 1:-1, 1:-1] = False
    if not around.any() or mask[edges].any():
        return None
    host = int(np.bincount(label[around]).argmax())
    return CutLesion(image, mask, around, index, host, (lower + upper) / 2 / shape)


def paste(lesion: CutLesion, case: StoredCase, rng: np.random.Generator) -> PastedCase | None:
    """Paste a lesion into another case.

    Args:
        lesion: lesion of a case with the same sequences.
        case: case into which it is pasted.
        rng: random generator that draws the place.

    Returns:
        None where no place that was tried lies in the same organ, is free of lesions and as bright around.

    Raises:
        TrainingDataError: a file is damaged.
    """
    extent, size = np.asarray(case.record.shape), np.asarray(lesion.mask.shape)
    for _ in range(TRIES):
        middle = (lesion.place + rng.uniform(-JITTER, JITTER, 3)) * extent
        lower = np.round(middle - size / 2).astype(int)
        if (lower < 0).any() or (lower + size > extent).any():
            continue
        image, label = case.read(as_shape(lower), as_shape(lower + size))
        if (label[lesion.mask] != lesion.host).any() or (label[lesion.around] == lesion.index).any():
            continue
        shift = _mean(image, lesion.around) - _mean(lesion.image, lesion.around)
        if (np.abs(shift) > SAME_TISSUE).any():
            continue
        share = np.maximum(gaussian_filter(lesion.mask.astype(np.float32), EDGE_SD), lesion.mask)
        image += share * (lesion.image + shift[:, None, None, None] - image)
        label[lesion.mask] = lesion.index
        return PastedCase(case, as_shape(lower), image, label, np.argwhere(lesion.mask) + lower)
    return None


def _mean(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Mean (C,) of each channel of an image (C, z, y, x) within a mask (z, y, x)."""
    return image[:, mask].mean(axis=1)
