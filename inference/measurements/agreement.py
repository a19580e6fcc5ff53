"""How far the members of an ensemble agree: the mean Dice of every two of their label maps.

Where the members of an ensemble disagree, its prediction is worth less (Roy et al., NeuroImage 2019, call this the
Dice of structures over samples; Lakshminarayanan et al., NeurIPS 2017, the disagreement of deep ensembles). In: the
label maps of the members. Out: a number from 0 to 1 for a class in a case, or for a predicted lesion; None where no
member marks anything. A pair in which neither marks anything says nothing, and is left out of the mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import slices_of
from autoseg.image.labels import Labels
from autoseg.run_folder.preprocessed_case import CaseRecord

Box = tuple[slice, ...]

MARGIN_MM = 5.0
"""The box of a lesion is grown by this much on every side, so that it holds what members mark around the lesion."""

_VOXELS_AT_ONCE = 2**22


@dataclass(frozen=True)
class MemberMap:
    """The label map of a member.

    Args:
        name: name of the member: its configuration and fold, such as `3d_0`.
        labels: class indices (z, y, x) at the spacing of the member's configuration.
        record: reorientation, crop and resampling of the image.
    """

    name: str
    labels: NDArray[np.uint8]
    record: CaseRecord

    def part(self, box: Box) -> NDArray[np.uint8]:
        """Class indices (z, y, x) in a part of the image's crop, on the image's grid: of the nearest voxel.

        Args:
            box: the part (z, y, x) in voxels of the crop.
        """
        shape, cropped = self.labels.shape, self.record.cropped_shape
        z, y, x = (
            ((2 * np.arange(part.start, part.stop) + 1) * m) // (2 * n)
            for part, m, n in zip(box, shape, cropped, strict=True)
        )
        if not self.labels[z[0] : z[-1] + 1].any():
            return np.zeros((len(z), len(y), len(x)), np.uint8)
        return self.labels[z[0] : z[-1] + 1, y[0] : y[-1] + 1, x[0] : x[-1] + 1][np.ix_(z - z[0], y - y[0], x - x[0])]

    def whole(self) -> NDArray[np.uint8]:
        """Class indices (z, y, x) of the whole reoriented image; background outside the crop."""
        classes = np.zeros(self.record.reoriented.shape, np.uint8)
        target = classes[slices_of(self.record.crop)]
        for planes in _slabs(tuple(slice(0, n) for n in target.shape)):
            target[planes[0]] = self.part(planes)
        return classes


def class_agreement(maps: Sequence[MemberMap], labels: Labels) -> list[float | None]:
    """Agreement of the members on each foreground class or region of a case.

    Args:
        maps: label maps of the members, of one image; fewer than two have no agreement.
        labels: classes and regions of the data set.
    """
    count = len(labels.foreground)
    if len(maps) < 2:
        return [None] * count
    shared = np.zeros((count, len(maps), len(maps)))
    for box in _slabs(tuple(slice(0, n) for n in maps[0].record.cropped_shape)):
        marked = _marked(maps, box)
        for index in range(count):
            shared[index] += _shared(labels.mask(marked, index + 1))
    return [pairwise_dice(of_class) for of_class in shared]


def lesion_agreement(
    maps: Sequence[MemberMap], labels: Labels, index: int, parts: NDArray[np.integer], number: int, box: Box
) -> float | None:
    """Agreement of the members on a predicted lesion: within its box, grown by `MARGIN_MM` on every side.

    Voxels of other predicted lesions of its class do not count.

    Args:
        maps: label maps of the members, of one image; fewer than two have no agreement.
        labels: classes and regions of the data set.
        index: number of the class or region, from 1.
        parts: number of the predicted lesion at each voxel (z, y, x) of the whole reoriented image; 0 = none.
        number: number of the lesion.
        box: box (z, y, x) of the lesion in voxels of the reoriented image.
    """
    if len(maps) < 2:
        return None
    record = maps[0].record
    lower, upper = record.crop
    grown = tuple(
        slice(max(part.start - int(MARGIN_MM / mm), a), min(part.stop + int(MARGIN_MM / mm), b))
        for part, mm, a, b in zip(box, record.reoriented.spacing, lower, upper, strict=True)
    )
    shared = np.zeros((len(maps), len(maps)))
    for whole in _slabs(grown):
        inside = tuple(slice(part.start - a, part.stop - a) for part, a in zip(whole, lower, strict=True))
        of_others = (parts[whole] != number) & (parts[whole] > 0)
        shared += _shared(labels.mask(_marked(maps, inside, ~of_others), index))
    return pairwise_dice(shared)


def pairwise_dice(shared: NDArray[np.floating]) -> float | None:
    """Mean Dice over every two members; None where no member marks anything.

    Args:
        shared: (member, member) numbers of voxels that two members both mark; in the diagonal those of each member.

    Examples:
        Two members mark the same two voxels, a third one marks nothing.

        >>> import numpy as np
        >>> pairwise_dice(np.array([[2.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 0.0]]))
        0.3333333333333333
    """
    first, second = np.triu_indices(len(shared), 1)
    sizes = np.diag(shared)
    both = sizes[first] + sizes[second]
    defined = both > 0
    return float((2 * shared[first, second][defined] / both[defined]).mean()) if defined.any() else None


def _slabs(box: Box) -> Iterator[Box]:
    """Parts of a box, of whole planes along z, small enough for memory."""
    depth = max(1, _VOXELS_AT_ONCE // max(1, prod(part.stop - part.start for part in box[1:])))
    for start in range(box[0].start, box[0].stop, depth):
        yield slice(start, min(start + depth, box[0].stop)), *box[1:]


def _marked(maps: Sequence[MemberMap], box: Box, where: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """Class indices (member, voxel) of the voxels of a part of the crop in which some member has foreground."""
    found = [one.part(box) for one in maps]
    some = found[0] > 0
    for one in found[1:]:
        some |= one > 0
    if where is not None:
        some &= where
    return np.stack([one[some] for one in found])


def _shared(masks: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Numbers of voxels (member, member) that two members both mark, from masks (member, voxel)."""
    # sums of ones are exact in double precision
    marked = masks.astype(np.float64)
    return marked @ marked.T
