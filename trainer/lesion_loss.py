"""The lesion-wise loss: Dice plus cross-entropy in the region of each lesion, so that all lesions count alike.

In: the logits and the label of a batch. Out: the mean over the lesions of Dice plus cross-entropy. Each lesion is
compared in its own region, where no other lesion of its class is nearer (CC-DiceCE: Bouteille et al.,
arXiv:2511.17146, on the regions of CC-Metrics, Jaus et al., arXiv:2410.18684). A plain Dice loss weighs voxels, so that
a lesion of ten voxels counts almost nothing beside one of a thousand. With several classes, each class is compared
with all others, and the mean over the classes is taken (arXiv:2604.24276).

A lesion is a connected component (26 neighbours) of a class in the patch, as everywhere in autoseg. A patch without a
lesion adds nothing to this loss; it counts in the plain loss, to which this one is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional

from autoseg.image.geometry import Spacing
from autoseg.image.labels import Labels
from autoseg.plan.configuration import Configuration
from trainer.label_loss import annotated_weights, in_region, log_probability_of_label
from trainer.loss import SMOOTH
from trainer.marginal_loss import known_voxels
from trainer.ranks import ALONE, Ranks

Compared = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Of a class in the patches that contain it: probability, truth and cross-entropy of each voxel, (P, z, y, x)."""


@dataclass(frozen=True)
class ClassRegions:
    """The regions of the lesions of one class in a batch.

    Args:
        index: position of the class or region in `Labels.foreground`, counted from 1.
        patches: indices (P,) of the patches of the batch that contain the class.
        regions: for each voxel (P, z, y, x) the number of the nearest lesion, int64; lesions are counted from 0
            through all patches.
        voxels: number of annotated voxels (count,) of the region of each lesion, int64.
    """

    index: int
    patches: torch.Tensor
    regions: torch.Tensor
    voxels: torch.Tensor

    @property
    def count(self) -> int:
        """Number of lesions in all patches."""
        return len(self.voxels)

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All tensors."""
        return self.patches, self.regions, self.voxels

    def pin_memory(self) -> ClassRegions:
        """The same in page-locked memory, from which a GPU copies beside other work."""
        return ClassRegions(self.index, *(tensor.pin_memory() for tensor in self.tensors))

    def to(self, device: torch.device) -> ClassRegions:
        """The same on a device."""
        return ClassRegions(self.index, *(tensor.to(device, non_blocking=True) for tensor in self.tensors))


def lesion_regions(
    label: NDArray[np.uint8], spacing: Spacing, labels: Labels, missing: NDArray[np.bool_] | None = None
) -> tuple[ClassRegions, ...]:
    """Find the lesions of a batch and the region of each lesion.

    Args:
        label: class indices (B, z, y, x), 0 = background.
        spacing: spacing in mm (z, y, x), which decides which lesion is nearest to a voxel.
        labels: classes and regions of the data set.
        missing: whether nobody looked for a class in a patch, (B, C); None = all were looked for everywhere.

    Returns:
        One entry for each foreground class, or region of the data set, that occurs in the batch.
    """
    found = []
    there = set(np.flatnonzero(np.bincount(label.ravel())).tolist())
    annotated = labels.annotated(label)
    for index, members in enumerate(labels.members, start=1):
        if there.isdisjoint(members):
            continue
        known = annotated if missing is None else _known(label, labels, missing, index)
        masks = labels.mask(label, index)
        patches = np.flatnonzero(masks.reshape(len(label), -1).any(axis=1))
        regions, count = [], 0
        for mask in masks[patches]:
            region, lesions = _nearest_lesion(mask, spacing)
            regions.append(region + count)
            count += lesions
        stacked = np.stack(regions).astype(np.int64)
        counted = stacked.ravel() if known is None else stacked[known[patches]]
        voxels = np.bincount(counted, minlength=count)
        found.append(ClassRegions(index, *map(torch.from_numpy, (patches, stacked, voxels))))
    return tuple(found)


def _known(label: NDArray[np.uint8], labels: Labels, missing: NDArray[np.bool_], index: int) -> NDArray[np.bool_]:
    """Voxels (B, z, y, x) that are compared for a class or region, where nobody looked for some classes."""
    return _compared_voxels(torch.from_numpy(label), labels, torch.from_numpy(missing), index).numpy()


def _compared_voxels(label: torch.Tensor, labels: Labels, missing: torch.Tensor | None, index: int) -> torch.Tensor:
    """Voxels (P, z, y, x) that are compared for a class or region in patches that contain it."""
    if missing is None or not labels.overlapping:
        # a class that has lesions was looked for
        return annotated_weights(label, labels)[:, 0] > 0
    return known_voxels(label, labels, missing)[:, index - 1]


def lesions_for_loss(
    label: NDArray[np.uint8], configuration: Configuration, labels: Labels, missing: NDArray[np.bool_] | None = None
) -> tuple[ClassRegions, ...]:
    """The lesions of a batch, as `lesion_regions`, where training uses their loss; else none are looked for.

    Args:
        label: class indices (B, z, y, x), 0 = background.
        configuration: configuration that holds the spacing and the training settings.
        labels: classes and regions of the data set.
        missing: whether nobody looked for a class in a patch, (B, C); None = all were looked for everywhere.
    """
    if not configuration.training.lesion_loss:
        return ()
    # along an axis that is not resampled a patch has one voxel, so the 1 mm given here affects no distance
    return lesion_regions(label, configuration.target_spacing((1.0, 1.0, 1.0)), labels, missing)


def lesion_wise_loss(
    logits: torch.Tensor,
    label: torch.Tensor,
    classes: Sequence[ClassRegions],
    labels: Labels,
    ranks: Ranks = ALONE,
    missing: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean over the lesions of cross-entropy minus soft Dice in the region of each; the best value is -1.

    It is zero where there is no lesion.

    Args:
        logits: output of the network before the softmax, (B, K, z, y, x), at full resolution.
        label: class index of each voxel (B, z, y, x).
        classes: lesion regions of the same label, from `lesion_regions`, on the device of the logits.
        labels: classes and regions of the data set.
        ranks: processes that have the other parts of the batch; the mean is that over all of them, and gradients are
            right after they were averaged over the processes.
        missing: whether nobody looked for a class in a patch, (B, C) bool; None = all were looked for everywhere.
    """
    if ranks.count > 1:
        return _over_ranks(logits, label, classes, labels, ranks, missing)
    if not classes:
        return logits.new_zeros(())
    return torch.stack([loss.mean() for loss in _of_lesions(logits, label, classes, labels, missing)]).mean()


def _over_ranks(
    logits: torch.Tensor,
    label: torch.Tensor,
    classes: Sequence[ClassRegions],
    labels: Labels,
    ranks: Ranks,
    missing: torch.Tensor | None,
) -> torch.Tensor:
    """The part of this process: its lesions' losses over the number of all lesions of their class, times processes."""
    counts = logits.new_zeros(len(labels.members) + 1, dtype=torch.float32)
    for of_class in classes:
        counts[of_class.index] += of_class.count
    with torch.no_grad():
        everywhere = ranks.summed(counts)
    present = (everywhere > 0).sum().clamp_min(1)
    total = logits.new_zeros((), dtype=torch.float32)
    for of_class, loss in zip(classes, _of_lesions(logits, label, classes, labels, missing), strict=True):
        total = total + loss.sum() / everywhere[of_class.index]
    return ranks.count * total / present


def _of_lesions(
    logits: torch.Tensor,
    label: torch.Tensor,
    classes: Sequence[ClassRegions],
    labels: Labels,
    missing: torch.Tensor | None,
) -> list[torch.Tensor]:
    """Cross-entropy minus soft Dice of each lesion (count,), for each class or region of the data set."""
    compared = _regions_compared if labels.overlapping else _classes_compared
    losses = []
    for of_class, (probability, truth, cross_entropy) in zip(
        classes, compared(logits, label, classes, labels, missing), strict=True
    ):
        if labels.ignored is not None or missing is not None:
            patches, of_patches = of_class.patches, None if missing is None else missing[of_class.patches]
            annotated = _compared_voxels(label[patches], labels, of_patches, of_class.index).float()
            probability, cross_entropy = probability * annotated, cross_entropy * annotated
        region = of_class.regions.ravel()
        overlap = _sums(probability * truth, region, of_class.count)
        dice = (2 * overlap + SMOOTH) / (_sums(probability + truth, region, of_class.count) + SMOOTH)
        mean_cross_entropy = _sums(cross_entropy, region, of_class.count) / of_class.voxels
        losses.append(mean_cross_entropy - dice)
    return losses


def _classes_compared(
    logits: torch.Tensor,
    label: torch.Tensor,
    classes: Sequence[ClassRegions],
    labels: Labels,
    missing: torch.Tensor | None,
) -> Iterator[Compared]:
    """Of classes that exclude each other."""
    log_probabilities = functional.log_softmax(logits.float(), dim=1)
    cross_entropy = -log_probability_of_label(log_probabilities, label, labels, missing)[:, 0]
    for of_class in classes:
        patches = of_class.patches
        truth = (label[patches] == of_class.index).float()
        yield log_probabilities[patches, of_class.index].exp(), truth, cross_entropy[patches]


def _regions_compared(
    logits: torch.Tensor,
    label: torch.Tensor,
    classes: Sequence[ClassRegions],
    labels: Labels,
    missing: torch.Tensor | None,
) -> Iterator[Compared]:
    """Of regions, each by itself against what is outside of it."""
    for of_class in classes:
        patches, channel = of_class.patches, of_class.index - 1
        own = logits[patches, channel].float()
        truth = in_region(label[patches], labels, of_class.index).float()
        yield torch.sigmoid(own), truth, functional.binary_cross_entropy_with_logits(own, truth, reduction="none")


def _sums(values: torch.Tensor, region: torch.Tensor, count: int) -> torch.Tensor:
    """Sums (count,) of the values over the voxels of each region."""
    return values.new_zeros(count).index_add(0, region, values.ravel())


def _nearest_lesion(mask: NDArray[np.bool_], spacing: Spacing) -> tuple[NDArray[np.integer], int]:
    """For each voxel (z, y, x) the number of the nearest component of a mask, from 0, and the number of components."""
    components, count = cc3d.connected_components(np.ascontiguousarray(mask), connectivity=26, return_N=True)
    if count == 1:
        return np.zeros(mask.shape, np.int64), count
    nearest = ndimage.distance_transform_edt(
        components == 0, sampling=spacing, return_distances=False, return_indices=True
    )
    return components[tuple(nearest)].astype(np.int64) - 1, count
