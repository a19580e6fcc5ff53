"""Where a training patch lies: case, class, lesion, voxel, then a random offset.

In: the voxels to draw from (`Foreground` of every case), the patch size. Out: a `Place`, the case and
the position of the patch in its arrays, without reading any image. Axes are (z, y, x).

A foreground patch draws each level with equal chances, so that within a class a lesion of a few
voxels is as likely as one that fills the image, and a rare class as likely as a common one; or, by
`voxel`, each voxel of a class with equal chances, as nnU-Net has it. The share of foreground patches
follows Isensee et al., Nature Methods 2021, supplementary note 2 (patch sampling).
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
        lower: voxel (z, y, x) of the case at which the patch begins; negative where it hangs over.
        pivot: voxel (z, y, x) of the case that keeps its place in the patch under rotation, scaling
            and deformation: the foreground voxel that was drawn, else the middle of the patch.
    """

    lower: Shape
    pivot: tuple[float, float, float]


class LesionVoxels:
    """The foreground voxels of one case, ordered so that a class and a lesion can be drawn.

    Args:
        foreground: of the case; class 0 in it is ignored.
        by: `lesion`: each lesion of a class is as likely; `voxel`: each voxel of a class is,
            where those given stand for as many as their weights say, or for themselves without weights.
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
        """Classes of which there are voxels."""
        return tuple(self._ranges)

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self._voxels.nbytes + (0 if self._voxels_up_to is None else self._voxels_up_to.nbytes)

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """One voxel (z, y, x): class uniform, then lesion and voxel of the lesion, or voxel of the class."""
        lesions = self._ranges[self.classes[rng.integers(len(self._ranges))]]
        if self._voxels_up_to is not None:
            return self._voxels[self._draw_by_weight(rng, lesions[0][0], lesions[-1][1])].astype(np.int64)
        start, stop = lesions[rng.integers(len(lesions))]
        return self._voxels[rng.integers(start, stop)].astype(np.int64)

    def _draw_by_weight(self, rng: np.random.Generator, first: int, last: int) -> int:
        """Place of a voxel from `first` to `last` (excluded), each as likely as its weight says."""
        assert self._voxels_up_to is not None
        before = self._voxels_up_to[first - 1] if first else 0.0
        aim = before + rng.random() * (self._voxels_up_to[last - 1] - before)
        # rounding may carry the aim to the very end
        return min(int(np.searchsorted(self._voxels_up_to, aim, side="right")), last - 1)


def is_foreground_place(place: int, step: int, batch_size: int, share: float) -> bool:
    """Whether the patch at `place` of the batch is centred on foreground.

    The last places of a batch are, as many as it takes to reach `share`: rounded up, where nnU-Net
    rounds to the nearest and so may stay below it. A batch of one alternates over the steps.
    """
    if batch_size == 1:
        return math.ceil((step + 1) * share) > math.ceil(step * share)
    # the margin keeps a product such as 3 * (1/3) from being rounded up by its last bit
    return place >= batch_size - math.ceil(batch_size * share - 1e-9)


def draw_case(rng: np.random.Generator, has_foreground: Sequence[bool], foreground: bool) -> int:
    """Index of a case, uniform; for a foreground patch among the cases that have any."""
    candidates = np.flatnonzero(has_foreground) if foreground and any(has_foreground) else len(has_foreground)
    return int(rng.choice(candidates))


def place_on_foreground(rng: np.random.Generator, lesions: LesionVoxels, shape: Shape, patch_size: Shape) -> Place:
    """A patch around a drawn foreground voxel, which lies anywhere in the middle half of the patch.

    That is where a voxel lies in the window that weighs most for it when whole images are predicted
    with half-patch overlap. Nearer to the image's border than that, the patch ends at the border.

    Args:
        rng: draws voxel and offset.
        lesions: of the case.
        shape: voxels of the case (z, y, x).
        patch_size: voxels (z, y, x).
    """
    voxel = lesions.draw(rng)
    patch = np.asarray(patch_size)
    margin = patch // 4
    lowest, highest = _allowed(shape, patch_size)
    first = np.clip(voxel - (patch - 1 - margin), lowest, highest)
    last = np.clip(voxel - margin, lowest, highest)
    lower = rng.integers(first, last + 1)
    return Place(_shape(lower), _triple(voxel))


def place_anywhere(rng: np.random.Generator, shape: Shape, patch_size: Shape) -> Place:
    """A patch anywhere in the image, each position equally likely.

    Args:
        rng: draws the position.
        shape: voxels of the case (z, y, x).
        patch_size: voxels (z, y, x).
    """
    lowest, highest = _allowed(shape, patch_size)
    lower = rng.integers(lowest, highest + 1)
    return Place(_shape(lower), _triple(lower + (np.asarray(patch_size) - 1) / 2))


def _allowed(shape: Shape, patch_size: Shape) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lowest and highest start of a patch: it stays in the image or, where larger, holds all of it.

    As the windows do when whole images are predicted, and nnU-Net's patches before rotation.
    """
    slack = np.asarray(shape, dtype=np.int64) - np.asarray(patch_size, dtype=np.int64)
    return np.minimum(slack, 0), np.maximum(slack, 0)


def _shape(values: NDArray) -> Shape:
    return int(values[0]), int(values[1]), int(values[2])


def _triple(values: NDArray) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
