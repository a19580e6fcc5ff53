"""The loss where a data set has regions or voxels that are not annotated.

In: logits (B, K, z, y, x) and labels (B, z, y, x). Out: a scalar, and numbers of voxels for the training Dice. Regions
are learned each by itself: Dice and binary cross-entropy of a sigmoid, without an output for the background (Isensee
et al., nnU-Net for Brain Tumor Segmentation, arXiv:2011.00848). Ignored voxels take no part (Gotkowski et al.,
Embarrassingly Simple Scribble Supervision, arXiv:2403.12834). Both are nnU-Net's losses of release 2.8.1
(`DC_and_BCE_loss`, `DC_and_CE_loss`) but for one factor: with regions and ignored voxels together nnU-Net sums the
cross-entropy over the regions, and here it is their mean, as it is there without ignored voxels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import torch
from torch.nn import functional

from autoseg.image.labels import Labels
from trainer.loss import SMOOTH, StageLoss, dice_and_cross_entropy, foreground_counts
from trainer.ranks import ALONE, Ranks

Counting = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def loss_of(labels: Labels) -> StageLoss:
    """The loss of one decoder stage for a data set."""
    return dice_and_cross_entropy if labels.plain else partial(label_loss, labels=labels)


def counting_of(labels: Labels) -> Counting:
    """The function that counts the voxels of the training Dice for a data set."""
    return foreground_counts if labels.plain else partial(annotated_counts, labels=labels)


def label_loss(
    logits: torch.Tensor, label: torch.Tensor, batch_dice: bool, ranks: Ranks = ALONE, *, labels: Labels
) -> torch.Tensor:
    """Cross-entropy minus the mean soft Dice of the regions or foreground classes, over annotated voxels.

    Args:
        logits: output of the network before sigmoid or softmax, (B, K, z, y, x).
        label: class index of each voxel (B, z, y, x), `labels.ignored` where it is not annotated.
        batch_dice: whether the voxels of each class are pooled over the batch before its Dice is taken.
        ranks: processes that have the other parts of the batch.
        labels: classes and regions of the data set.
    """
    weights = annotated_weights(label, labels)
    probabilities, cross_entropy = compared(logits, label, labels)
    truth = one_hot(label, labels).float()
    total = weights.sum().detach()
    mean = (cross_entropy * weights).sum() * ranks.count / ranks.summed(total).clamp_min(1)
    return mean - soft_dice(probabilities * weights, truth * weights, batch_dice, ranks).mean()


def compared(logits: torch.Tensor, label: torch.Tensor, labels: Labels) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities of the regions or foreground classes (B, F, z, y, x), and the cross-entropy (B, 1, z, y, x).

    The cross-entropy is the mean over the regions; at ignored voxels it has no meaning.
    """
    if labels.overlapping:
        truth = one_hot(label, labels).float()
        of_region = functional.binary_cross_entropy_with_logits(logits.float(), truth, reduction="none")
        return torch.sigmoid(logits.float()), of_region.mean(dim=1, keepdim=True)
    log_probabilities = functional.log_softmax(logits.float(), dim=1)
    return log_probabilities.exp()[:, 1:], -log_probability_of_label(log_probabilities, label, labels)


def log_probability_of_label(
    log_probabilities: torch.Tensor, label: torch.Tensor, labels: Labels, missing: torch.Tensor | None = None
) -> torch.Tensor:
    """Logarithm of the probability of what each voxel is labelled as, (B, 1, z, y, x).

    In a patch in which nobody looked for some classes, the background is labelled where it or any of these may be, and
    their probabilities are summed. At ignored voxels the result has no meaning.

    Args:
        log_probabilities: logarithms of the probabilities of all classes, (B, C, z, y, x).
        label: class index of each voxel (B, z, y, x).
        labels: classes of the data set, which has no regions.
        missing: whether nobody looked for a class in a patch, (B, C) bool; None = all were looked for everywhere.
    """
    index = label.long()[:, None]
    # the background stands for ignored voxels, whose weight is zero
    known = index if labels.ignored is None else torch.where(index == labels.ignored, 0, index)
    own = log_probabilities.gather(1, known)
    if missing is None:
        return own
    possible = missing.clone()
    possible[:, 0] = True
    impossible = torch.zeros_like(missing, dtype=own.dtype).masked_fill(~possible, float("-inf"))
    summed = torch.logsumexp(log_probabilities + impossible[:, :, None, None, None], dim=1, keepdim=True)
    return torch.where(known == 0, summed, own)


def one_hot(label: torch.Tensor, labels: Labels) -> torch.Tensor:
    """Whether each voxel belongs to each region or foreground class, (B, F, z, y, x) bool."""
    return member_table(labels.members, label.device)[:, label.long()].movedim(0, 1)


def in_region(label: torch.Tensor, labels: Labels, index: int) -> torch.Tensor:
    """Whether each voxel belongs to a region or foreground class, which is counted from 1; bool, as the label."""
    return member_table(labels.members, label.device)[index - 1][label.long()]


@cache
def member_table(members: tuple[tuple[int, ...], ...], device: torch.device) -> torch.Tensor:
    """Whether a class index belongs to each region or foreground class, (F, 256) bool; copied to a device once."""
    table = torch.zeros((len(members), 256), dtype=torch.bool)
    for row, of_one in zip(table, members, strict=True):
        row[list(of_one)] = True
    return table.to(device)


def annotated_weights(label: torch.Tensor, labels: Labels) -> torch.Tensor:
    """1 for each annotated voxel and 0 for each ignored one, (B, 1, z, y, x) float32."""
    if labels.ignored is None:
        return torch.ones_like(label, dtype=torch.float32)[:, None]
    return (label != labels.ignored).float()[:, None]


@torch.no_grad()
def annotated_counts(logits: torch.Tensor, label: torch.Tensor, *, labels: Labels) -> torch.Tensor:
    """Numbers of true positive, predicted and reference voxels of each region or foreground class, (3, F).

    Ignored voxels are not counted; nothing waits for the device.
    """
    annotated = annotated_weights(label, labels) > 0
    truth = one_hot(label, labels) & annotated
    predicted = (logits > 0 if labels.overlapping else one_hot(logits.max(1).indices, labels)) & annotated
    return torch.stack([part.sum((0, 2, 3, 4)) for part in (truth & predicted, predicted, truth)]).float()


def soft_dice(probabilities: torch.Tensor, truth: torch.Tensor, batch_dice: bool, ranks: Ranks) -> torch.Tensor:
    """Soft Dice of each region or foreground class: (F,) if pooled over the batch, else (B, F)."""
    axes = (0, 2, 3, 4) if batch_dice else (2, 3, 4)
    intersection, total = (probabilities * truth).sum(axes), probabilities.sum(axes) + truth.sum(axes)
    if batch_dice:
        intersection, total = ranks.summed(intersection), ranks.summed(total)
    return (2 * intersection + SMOOTH) / (total + SMOOTH).clamp_min(1e-8)
