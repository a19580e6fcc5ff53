"""A loss in which every lesion counts alike: Dice plus cross-entropy in the region of each lesion.

In: the logits and the label of a batch. Out: the mean over the lesions of Dice plus cross-entropy,
each taken where no other lesion of its class is nearer (CC-DiceCE: Bouteille et al., arXiv:2511.17146,
on the regions of CC-Metrics, Jaus et al., arXiv:2410.18684). A plain Dice loss weighs voxels, so that a
lesion of ten of them says next to nothing beside one of a thousand. Several classes: each against all
others, then the mean over the classes (arXiv:2604.24276).

A lesion is a connected component (26 neighbours) of a class in the patch, as everywhere in autoseg.
A patch without a lesion adds nothing; the plain loss, to which this one is added, speaks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional

from autoseg.image.geometry import Spacing
from trainer.loss import SMOOTH


@dataclass(frozen=True)
class ClassRegions:
    """The regions of the lesions of one class in a batch.

    Args:
        index: of the class.
        patches: (P,) the patches of the batch that hold the class.
        regions: (P, z, y, x) int64 number of the lesion that is nearest to each voxel, counted from 0
            through all patches.
        count: of the lesions.
    """

    index: int
    patches: torch.Tensor
    regions: torch.Tensor
    count: int


def lesion_regions(label: NDArray[np.uint8], spacing: Spacing) -> tuple[ClassRegions, ...]:
    """Find the lesions of a batch and the regions that are theirs.

    Args:
        label: (B, z, y, x) class indices, 0 = background.
        spacing: mm (z, y, x), for what is nearest.

    Returns:
        One entry for each class that occurs.
    """
    found = []
    for index in np.flatnonzero(np.bincount(label.ravel())):
        if index == 0:
            continue
        masks = label == index
        patches = np.flatnonzero(masks.reshape(len(label), -1).any(axis=1))
        regions, count = [], 0
        for mask in masks[patches]:
            region, lesions = _nearest_lesion(mask, spacing)
            regions.append(region + count)
            count += lesions
        stacked = torch.from_numpy(np.stack(regions).astype(np.int64))
        found.append(ClassRegions(int(index), torch.from_numpy(patches), stacked, count))
    return tuple(found)


def lesion_wise_loss(logits: torch.Tensor, label: torch.Tensor, classes: Sequence[ClassRegions]) -> torch.Tensor:
    """Mean over the lesions of cross-entropy minus soft Dice in the region of each; at best -1.

    Zero where there is no lesion.

    Args:
        logits: (B, K, z, y, x) at full resolution.
        label: (B, z, y, x) class indices.
        classes: of the same label, from `lesion_regions`.
    """
    if not classes:
        return logits.new_zeros(())
    log_probabilities = functional.log_softmax(logits.float(), dim=1)
    cross_entropy = -log_probabilities.gather(1, label.long()[:, None])[:, 0]
    losses = []
    for of_class in classes:
        patches = of_class.patches.to(logits.device, non_blocking=True)
        region = of_class.regions.to(logits.device, non_blocking=True).ravel()
        probability = log_probabilities[patches, of_class.index].exp()
        truth = (label[patches] == of_class.index).float()
        overlap = _sums(probability * truth, region, of_class.count)
        dice = (2 * overlap + SMOOTH) / (_sums(probability + truth, region, of_class.count) + SMOOTH)
        voxels = torch.bincount(region, minlength=of_class.count)
        mean_cross_entropy = _sums(cross_entropy[patches], region, of_class.count) / voxels
        losses.append((mean_cross_entropy - dice).mean())
    return torch.stack(losses).mean()


def _sums(values: torch.Tensor, region: torch.Tensor, count: int) -> torch.Tensor:
    """(count,) sums of values over the voxels of each region."""
    return values.new_zeros(count).index_add(0, region, values.ravel())


def _nearest_lesion(mask: NDArray[np.bool_], spacing: Spacing) -> tuple[NDArray[np.integer], int]:
    """For each voxel (z, y, x) the number, from 0, of the nearest component of a mask, and how many there are."""
    components, count = cc3d.connected_components(np.ascontiguousarray(mask), connectivity=26, return_N=True)
    if count == 1:
        return np.zeros(mask.shape, np.int64), count
    nearest = ndimage.distance_transform_edt(
        components == 0, sampling=spacing, return_distances=False, return_indices=True
    )
    return components[tuple(nearest)].astype(np.int64) - 1, count
