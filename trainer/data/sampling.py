"""Draw where a training patch lies: first a case, then a class, a lesion, a voxel, and a random offset.

In: the voxels to draw from (`Foreground` of every case) and the patch size. Out: the index of a case, and a `Place`,
the position of the patch in its arrays. No image is read. Axes are (z, y, x). A case with voxels that are not
annotated has annotated ones to draw from, around which all its other patches lie, as in nnU-Net.

For a foreground patch each of these is drawn with equal chances. So within a class a lesion of a few voxels is as
likely as one that fills the image, and a rare class is as likely as a common one. With `voxel`, each voxel of a class
has equal chances instead, as in nnU-Net. The share of foreground patches follows Isensee et al., Nature Methods 2021,
supplementary note 2 (patch sampling).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import Shape
from autoseg.run_folder.preprocessed_case import Foreground


@dataclass(frozen=True)
class Place:
    """Position of a patch before augmentation.

    Args:
        lower: voxel (z, y, x) of the case at which the patch begins; negative where the patch extends beyond the case.
        pivot: voxel (z, y, x) of the case that keeps its position in the patch under rotation, scaling and
            deformation: the foreground voxel that was drawn, else the middle of the patch.
    """

    lower: Shape
    pivot: tuple[float, float, float]


class LesionVoxels:
    """The foreground voxels of one case, ordered so that a class and a lesion can be drawn.

    Args:
        foreground: foreground voxels of the case; voxels of class 0 are no foreground.
        by: `lesion`: each lesion of a class is equally likely; `voxel`: each voxel of a class is equally likely. The
            weight of a stored voxel is the number of voxels that it stands for; without weights it is 1.
    """

    def __init__(self, foreground: Foreground, by: Literal["lesion", "voxel"] = "lesion") -> None:
        keep = np.flatnonzero(foreground.classes)
        order = keep[np.lexsort((foreground.lesions[keep], foreground.classes[keep]))]
        self._voxels = foreground.voxels[order]
        keys = np.stack([foreground.classes[order].astype(np.int64), foreground.lesions[order].astype(np.int64)])
        changes = np.flatnonzero(np.diff(keys, axis=1).any(axis=0)) + 1
        bounds = np.concatenate([[0], changes, [len(order)]]) if len(order) else np.zeros(1, np.int64)
        self._ranges: dict[int, list[tuple[int, int]]] = {}
        for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            self._ranges.setdefault(int(keys[0, start]), []).append((start, stop))
        weights = np.ones(len(foreground.classes)) if foreground.weights is None else foreground.weights
        self._voxels_up_to = np.cumsum(weights[order], dtype=np.float64) if by == "voxel" else None

    @property
    def classes(self) -> tuple[int, ...]:
        """Indices of the foreground classes that the case has."""
        return tuple(self._ranges)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays in bytes."""
        return self._voxels.nbytes + (0 if self._voxels_up_to is None else self._voxels_up_to.nbytes)

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw one voxel (z, y, x): first a class, then a lesion and its voxel, or directly a voxel of the class."""
        lesions = self._ranges[self.classes[rng.integers(len(self._ranges))]]
        if self._voxels_up_to is not None:
            return self._voxels[self._draw_by_weight(rng, lesions[0][0], lesions[-1][1])].astype(np.int64)
        start, stop = lesions[rng.integers(len(lesions))]
        return self._voxels[rng.integers(start, stop)].astype(np.int64)

    def draw_lesion(self, rng: np.random.Generator) -> tuple[int, NDArray[np.int64]]:
        """Draw a class, then one of its lesions: index of the class, and the lesion's stored voxels (n, 3)."""
        index = self.classes[rng.integers(len(self._ranges))]
        start, stop = self._ranges[index][rng.integers(len(self._ranges[index]))]
        return index, self._voxels[start:stop].astype(np.int64)

    def _draw_by_weight(self, rng: np.random.Generator, first: int, last: int) -> int:
        """Draw the index of a voxel from `first` to `last` (excluded), with probabilities by weight."""
        assert self._voxels_up_to is not None
        before = self._voxels_up_to[first - 1] if first else 0.0
        aim = before + rng.random() * (self._voxels_up_to[last - 1] - before)
        # by rounding the aim may reach the end of the range
        return min(int(np.searchsorted(self._voxels_up_to, aim, side="right")), last - 1)


def is_foreground_place(place: int, step: int, batch_size: int, share: float) -> bool:
    """Whether the patch at `place` of the batch is centred on foreground.

    The last patches of a batch are, as many as are needed to reach `share`. Their number is rounded up; nnU-Net rounds
    to the nearest number and so may stay below the share. A batch of one patch alternates over the steps.

    Args:
        place: index of the patch in the batch, from 0.
        step: number of the training step, from 0.
        batch_size: number of patches per batch.
        share: smallest share of patches that are centred on foreground.
    """
    if batch_size == 1:
        return math.ceil((step + 1) * share) > math.ceil(step * share)
    # the margin prevents that a product such as 3 * (1/3) is rounded up because of its last bit
    return place >= batch_size - math.ceil(batch_size * share - 1e-9)


def draw_case(rng: np.random.Generator, has_foreground: Sequence[bool], foreground: bool) -> int:
    """Draw the index of a case with equal chances; for a foreground patch only among the cases with foreground."""
    candidates = np.flatnonzero(has_foreground) if foreground and any(has_foreground) else len(has_foreground)
    return int(rng.choice(candidates))


def place_on_foreground(rng: np.random.Generator, lesions: LesionVoxels, shape: Shape, patch_size: Shape) -> Place:
    """Draw a patch around a foreground voxel of a case, see `place_around`.

    Args:
        rng: random generator that draws the voxel and the offset.
        lesions: foreground voxels of the case.
        shape: shape of the case in voxels (z, y, x).
        patch_size: patch size in voxels (z, y, x).
    """
    return place_around(rng, lesions.draw(rng), shape, patch_size)


def place_around(rng: np.random.Generator, voxel: NDArray[np.int64], shape: Shape, patch_size: Shape) -> Place:
    """Draw a patch around a voxel, which lies anywhere in the middle half of the patch.

    When whole images are predicted with an overlap of half a patch, the window with the largest weight for a voxel has
    the voxel in its middle half. Near the border of the image the patch ends at the border.

    Args:
        rng: random generator that draws the offset.
        voxel: voxel (z, y, x) of the case.
        shape: shape of the case in voxels (z, y, x).
        patch_size: patch size in voxels (z, y, x).
    """
    patch = np.asarray(patch_size)
    margin = patch // 4
    lowest, highest = _allowed(shape, patch_size)
    first = np.clip(voxel - (patch - 1 - margin), lowest, highest)
    last = np.clip(voxel - margin, lowest, highest)
    lower = rng.integers(first, last + 1)
    return Place(as_shape(lower), _triple(voxel))


def place_anywhere(rng: np.random.Generator, shape: Shape, patch_size: Shape) -> Place:
    """Draw a patch anywhere in the image; each position is equally likely.

    Args:
        rng: random generator that draws the position.
        shape: shape of the case in voxels (z, y, x).
        patch_size: patch size in voxels (z, y, x).
    """
    lowest, highest = _allowed(shape, patch_size)
    lower = rng.integers(lowest, highest + 1)
    return Place(as_shape(lower), _triple(lower + (np.asarray(patch_size) - 1) / 2))


def _allowed(shape: Shape, patch_size: Shape) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lowest and highest start of a patch: it stays inside the image or, where it is larger, contains all of it.

    Windows in the prediction of whole images lie in the same way, and so do nnU-Net's patches before rotation.
    """
    slack = np.asarray(shape, dtype=np.int64) - np.asarray(patch_size, dtype=np.int64)
    return np.minimum(slack, 0), np.maximum(slack, 0)


def as_shape(values: NDArray) -> Shape:
    """Three whole numbers (z, y, x) of an array, as Python's own."""
    return int(values[0]), int(values[1]), int(values[2])


def _triple(values: NDArray) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
