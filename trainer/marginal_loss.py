"""The loss where some cases were not annotated for every class.

In: logits (B, K, z, y, x), labels (B, z, y, x), and for each patch the classes that nobody looked for. Out: a scalar,
and numbers of voxels for the training Dice. In such a patch a voxel of the background may be of any class that was not
looked for. So the cross-entropy there is that of the summed probability of all these classes and the background (the
marginal loss of Shi et al., Marginal loss and exclusion loss for partially supervised multi-organ segmentation, Medical
Image Analysis 2021), and Dice is taken of the classes that were looked for. A region that holds a class that nobody
looked for takes no part in voxels of the background; elsewhere it is known.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from autoseg.image.labels import Labels
from trainer.label_loss import annotated_weights, log_probability_of_label, member_table, one_hot, soft_dice
from trainer.ranks import ALONE, Ranks


def marginal_loss(
    logits: torch.Tensor,
    label: torch.Tensor,
    batch_dice: bool,
    ranks: Ranks = ALONE,
    *,
    labels: Labels,
    missing: torch.Tensor,
) -> torch.Tensor:
    """Marginal cross-entropy minus the mean soft Dice of the regions or classes that are known.

    Where every class was looked for it is `label_loss`. The means are over as many voxels, classes and patches as
    there, and a class of which nothing is known has a Dice of 1, so that a patch does not change what others weigh.

    Args:
        logits: output of the network before sigmoid or softmax, (B, K, z, y, x).
        label: class index of each voxel (B, z, y, x), `labels.ignored` where it is not annotated.
        batch_dice: whether the voxels of each class are pooled over the batch before its Dice is taken.
        ranks: processes that have the other parts of the batch; all of them have `missing`.
        labels: classes and regions of the data set.
        missing: whether nobody looked for a class in a patch, (B, C) bool; the background is class 0.
    """
    known, weights = known_voxels(label, labels, missing).float(), annotated_weights(label, labels)
    truth = one_hot(label, labels).float()
    if labels.overlapping:
        probabilities = torch.sigmoid(logits.float())
        of_region = functional.binary_cross_entropy_with_logits(logits.float(), truth, reduction="none")
        cross_entropy = (of_region * known).mean(dim=1, keepdim=True)
    else:
        log_probabilities = functional.log_softmax(logits.float(), dim=1)
        probabilities = log_probabilities.exp()[:, 1:]
        cross_entropy = -log_probability_of_label(log_probabilities, label, labels, missing)
    total = weights.sum().detach()
    mean = (cross_entropy * weights).sum() * ranks.count / ranks.summed(total).clamp_min(1)
    return mean - soft_dice(probabilities * known, truth * known, batch_dice, ranks).mean()


def known_voxels(label: torch.Tensor, labels: Labels, missing: torch.Tensor) -> torch.Tensor:
    """Whether it is known of a voxel if it belongs to each region or foreground class, (B, F, z, y, x) bool.

    A class that nobody looked for in a patch is known nowhere there. A region that holds such a class is known where
    the label is not the background. Ignored voxels are known of nothing.

    Args:
        label: class index of each voxel (B, z, y, x).
        labels: classes and regions of the data set.
        missing: whether nobody looked for a class in a patch, (B, C) bool.
    """
    members = member_table(labels.members, label.device)[None, :, : missing.shape[1]]
    whole = ~(members & missing[:, None]).any(dim=2)
    known = whole[:, :, None, None, None] & (annotated_weights(label, labels) > 0)
    if not labels.overlapping:
        return known
    decided = (label != 0)[:, None] & (annotated_weights(label, labels) > 0)
    return known | decided


@torch.no_grad()
def known_counts(logits: torch.Tensor, label: torch.Tensor, *, labels: Labels, missing: torch.Tensor) -> torch.Tensor:
    """Numbers of true positive, predicted and reference voxels of each region or foreground class, (3, F).

    Voxels of which it is not known whether they belong to it are not counted; nothing waits for the device.
    """
    known, truth = known_voxels(label, labels, missing), one_hot(label, labels)
    predicted = logits > 0 if labels.overlapping else one_hot(logits.max(1).indices, labels)
    counted = (truth & predicted & known, predicted & known, truth & known)
    return torch.stack([part.sum((0, 2, 3, 4)) for part in counted]).float()
