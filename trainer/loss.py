"""The loss of training: Dice plus cross-entropy, at every decoder stage.

In: logits (B, K, z, y, x) and labels (B, z, y, x), for B patches and K classes. Out: a scalar. The loss is soft Dice
without background (Drozdzal et al., arXiv:1608.04117, as nnU-Net has it) plus cross-entropy. Deep supervision weighs
each stage half as much as the next finer one, and the coarsest not at all (Isensee et al., Nature Methods 2021,
supplement), so that the network gives no logits there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from trainer.ranks import ALONE, Ranks

SMOOTH = 1e-5

StageLoss = Callable[[torch.Tensor, torch.Tensor, bool, Ranks], torch.Tensor]
"""The loss of logits (B, K, …) and label (B, …) at one decoder stage: see `dice_and_cross_entropy`."""


def dice_and_cross_entropy(
    logits: torch.Tensor, label: torch.Tensor, batch_dice: bool, ranks: Ranks = ALONE
) -> torch.Tensor:
    """Cross-entropy minus the mean soft Dice of the foreground classes; the best value is -1.

    Args:
        logits: output of the network before the softmax, (B, K, z, y, x).
        label: class index of each voxel (B, z, y, x).
        batch_dice: whether the voxels of each class are pooled over the batch before its Dice is taken.
        ranks: processes that have the other parts of the batch.
    """
    log_probabilities = functional.log_softmax(logits.float(), dim=1)
    index = label.long()[:, None]
    cross_entropy = -log_probabilities.gather(1, index).mean()
    return cross_entropy - soft_dice(log_probabilities.exp(), index, batch_dice, ranks).mean()


def soft_dice(probabilities: torch.Tensor, index: torch.Tensor, batch_dice: bool, ranks: Ranks = ALONE) -> torch.Tensor:
    """Soft Dice of each foreground class: (K-1,) if pooled over the batch, else (B, K-1).

    Args:
        probabilities: probability of each class at each voxel (B, K, z, y, x).
        index: class index of each voxel (B, 1, z, y, x), int64.
        batch_dice: whether the voxels of each class are pooled over the batch.
        ranks: processes that have the other parts of the batch; they are pooled too.
    """
    truth = torch.zeros_like(probabilities).scatter_(1, index, 1)
    axes = (0, 2, 3, 4) if batch_dice else (2, 3, 4)
    intersection = (probabilities * truth).sum(axes)
    total = probabilities.sum(axes) + truth.sum(axes)
    if batch_dice:
        intersection, total = ranks.summed(intersection), ranks.summed(total)
    dice = (2 * intersection + SMOOTH) / (total + SMOOTH).clamp_min(1e-8)
    return dice[..., 1:]


def stage_weights(stages: int) -> list[float]:
    """Loss weights of the decoder stages that give logits, full resolution first; their sum is one."""
    weights = [0.5**i for i in range(stages)]
    return [w / sum(weights) for w in weights]


def deep_supervision_loss(
    logits: Sequence[torch.Tensor],
    label: torch.Tensor,
    batch_dice: bool,
    ranks: Ranks = ALONE,
    loss: StageLoss = dice_and_cross_entropy,
) -> torch.Tensor:
    """Weighted sum of the losses of all decoder stages.

    Args:
        logits: logits (B, K, …) of every stage but the coarsest, full resolution first.
        label: class indices (B, z, y, x) at full resolution; resampled to each stage by nearest neighbour.
        batch_dice: whether the voxels of each class are pooled over the batch before its Dice is taken.
        ranks: processes that have the other parts of the batch.
        loss: loss of one stage.
    """
    total = logits[0].new_zeros(())
    for stage, weight in zip(logits, stage_weights(len(logits)), strict=True):
        smaller = functional.interpolate(label[:, None].float(), size=stage.shape[2:], mode="nearest-exact")
        total = total + weight * loss(stage, smaller[:, 0], batch_dice, ranks)
    return total


@torch.no_grad()
def foreground_counts(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Numbers of true positive, predicted and reference voxels of each foreground class, (3, K-1).

    They stay on the device, and no operation waits for it.
    """
    classes = logits.shape[1]
    # `max` is used because `argmax` takes eight times as long on contiguous logits
    predicted, label = logits.max(1).indices.ravel(), label.long().ravel()
    # where it is wrong, a voxel counts for a class after the last one
    hit = torch.where(predicted == label, label, classes)
    counts = [_counted(hit, classes + 1)[:classes], _counted(predicted, classes), _counted(label, classes)]
    return torch.stack(counts)[:, 1:].float()


def _counted(index: torch.Tensor, classes: int) -> torch.Tensor:
    """Number of voxels of each class (classes,), int64.

    A count on a GPU by `bincount` would wait for the device to learn the largest index.

    Args:
        index: class index of each voxel (N,).
        classes: number of classes, background included; no index is larger.
    """
    if index.device.type == "cpu":
        return torch.bincount(index, minlength=classes)
    return torch.zeros(classes, dtype=torch.int64, device=index.device).index_add_(0, index, torch.ones_like(index))
