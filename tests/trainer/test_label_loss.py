"""The loss with regions and ignored voxels against loops in numpy; beside nnU-Net's it is in end_to_end."""

import numpy as np
import pytest
import torch

from autoseg.image.labels import LabelRegion, Labels
from tests.example_plan import LABELS
from trainer.label_loss import annotated_counts, counting_of, in_region, label_loss, loss_of, one_hot
from trainer.lesion_loss import lesion_regions, lesion_wise_loss
from trainer.loss import deep_supervision_loss, dice_and_cross_entropy, foreground_counts, stage_weights

REGIONS = (LabelRegion(name="both", values=(1, 2), value=1), LabelRegion(name="lesion", values=(2,), value=2))
IGNORE, OVERLAPPING = LABELS.changed(ignore=3), LABELS.changed(regions=REGIONS)
BOTH = OVERLAPPING.changed(ignore=3)
SPACING = (3.0, 1.0, 1.0)


def drawn(labels: Labels, seed: int = 0, shape: tuple[int, ...] = (2, 6, 7, 8)) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and a label with a few small lesions; a third of the voxels are ignored where any can be."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 3, shape) * (random.random(shape) < 0.2)
    if labels.ignored is not None:
        label = np.where(random.random(shape) < 0.33, labels.ignored, label)
    logits = random.normal(0, 2, (shape[0], labels.outputs, *shape[1:])).astype(np.float32)
    return torch.from_numpy(logits).requires_grad_(), torch.from_numpy(label.astype(np.uint8))


def compared(logits: torch.Tensor, label: torch.Tensor, labels: Labels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probability and truth of each class or region (F, B, z, y, x), and cross-entropy (B, z, y, x), in numpy."""
    scores, classes = logits.detach().numpy().astype(np.float64), label.numpy()
    if labels.overlapping:
        p = 1 / (1 + np.exp(-scores))
        truth = np.stack([np.isin(classes, (1, 2)), classes == 2], axis=1)
        entropy = -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean(axis=1)
        return p.swapaxes(0, 1), truth.swapaxes(0, 1), entropy
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    right = np.where(classes == 3, 0, classes)
    entropy = -np.log(np.take_along_axis(p, right[:, None].astype(int), axis=1)[:, 0])
    return p.swapaxes(0, 1)[1:], np.stack([classes == 1, classes == 2]), entropy


@pytest.mark.parametrize("labels", [IGNORE, OVERLAPPING, BOTH], ids=["ignore", "regions", "both"])
@pytest.mark.parametrize("batch_dice", [False, True])
def test_it_is_dice_and_cross_entropy_over_annotated_voxels(labels: Labels, batch_dice: bool) -> None:
    logits, label = drawn(labels)
    probability, truth, entropy = compared(logits, label, labels)
    kept, dice = label.numpy() != 3, []
    for p, t in zip(probability, truth, strict=True):
        places = [slice(None)] if batch_dice else [slice(i, i + 1) for i in range(len(label))]
        dice += [2 * (p * t)[i][kept[i]].sum() / (p[i][kept[i]].sum() + t[i][kept[i]].sum()) for i in places]
    expected = entropy[kept].mean() - np.mean(dice)
    assert loss_of(labels)(logits, label, batch_dice).item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("labels", [IGNORE, BOTH], ids=["ignore", "both"])
def test_ignored_voxels_teach_nothing_and_are_not_counted(labels: Labels) -> None:
    logits, label = drawn(labels)
    lesions = lesion_regions(label.numpy(), SPACING, labels)
    loss = deep_supervision_loss([logits], label, True, loss=loss_of(labels))
    (loss + lesion_wise_loss(logits, label, lesions, labels)).backward()
    assert logits.grad is not None
    ignored = (label == 3)[:, None].expand_as(logits)
    assert not logits.grad[ignored].any() and logits.grad[~ignored].abs().min() > 0
    changed = torch.where(ignored, -logits, logits)
    counts = counting_of(labels)
    torch.testing.assert_close(counts(changed, label), counts(logits, label))
    other = lesion_wise_loss(changed, label, lesions, labels)
    torch.testing.assert_close(other, lesion_wise_loss(logits, label, lesions, labels))


def test_a_batch_without_an_annotated_voxel_has_a_finite_loss_and_teaches_nothing() -> None:
    logits, label = drawn(BOTH)
    loss = loss_of(BOTH)(logits, torch.full_like(label, 3), False)
    loss.backward()
    assert torch.isfinite(loss) and logits.grad is not None and not logits.grad.any()


@pytest.mark.parametrize("batch_dice", [False, True])
def test_without_ignored_voxels_it_is_the_plain_loss(batch_dice: bool) -> None:
    logits, label = drawn(LABELS)
    plain = dice_and_cross_entropy(logits, label, batch_dice)
    torch.testing.assert_close(label_loss(logits, label, batch_dice, labels=IGNORE), plain)
    torch.testing.assert_close(annotated_counts(logits, label, labels=IGNORE), foreground_counts(logits, label))
    assert loss_of(LABELS) is dice_and_cross_entropy and counting_of(LABELS) is foreground_counts
    # of regions alike, an ignore label that no voxel has changes nothing
    logits, label = drawn(OVERLAPPING)
    torch.testing.assert_close(
        loss_of(BOTH)(logits, label, batch_dice), loss_of(OVERLAPPING)(logits, label, batch_dice)
    )


@pytest.mark.parametrize("labels", [IGNORE, OVERLAPPING, BOTH], ids=["ignore", "regions", "both"])
def test_counts_are_those_of_the_masks(labels: Labels) -> None:
    logits, label = drawn(labels)
    probability, truth, _ = compared(logits, label, labels)
    kept = label.numpy() != 3
    winner = logits.detach().numpy().argmax(axis=1)
    predicted = probability > 0.5 if labels.overlapping else np.stack([winner == 1, winner == 2])
    expected = [
        [(a & b & kept).sum(), (b & kept).sum(), (a & kept).sum()] for a, b in zip(truth, predicted, strict=True)
    ]
    np.testing.assert_array_equal(counting_of(labels)(logits, label).numpy(), np.transpose(expected))


def test_every_stage_is_compared_with_its_own_label() -> None:
    logits, label = drawn(BOTH)
    coarse = logits[:, :, ::2, ::2, ::2]
    total = deep_supervision_loss([logits, coarse], label, False, loss=loss_of(BOTH))
    smaller = torch.nn.functional.interpolate(label[:, None].float(), size=coarse.shape[2:], mode="nearest-exact")
    both = [label_loss(logits, label, False, labels=BOTH), label_loss(coarse, smaller[:, 0], False, labels=BOTH)]
    expected = sum(weight * loss for weight, loss in zip(stage_weights(2), both, strict=True))
    torch.testing.assert_close(total, expected)


def test_lesions_of_a_region_are_compared_with_what_is_outside_of_it() -> None:
    logits, label = drawn(BOTH)
    probability, truth, _ = compared(logits, label, BOTH)
    kept, losses = label.numpy() != 3, []
    for of_class in lesion_regions(label.numpy(), SPACING, BOTH):
        p, t = probability[of_class.index - 1], truth[of_class.index - 1]
        entropy = -(t * np.log(p) + (1 - t) * np.log(1 - p))
        of_lesion = []
        for lesion in range(of_class.count):
            inside = np.zeros(label.shape, bool)
            inside[of_class.patches.numpy()] = of_class.regions.numpy() == lesion
            inside &= kept
            dice = 2 * (p * t)[inside].sum() / (p[inside].sum() + t[inside].sum())
            of_lesion.append(entropy[inside].mean() - dice)
        losses.append(np.mean(of_lesion))
    found = lesion_wise_loss(logits, label, lesion_regions(label.numpy(), SPACING, BOTH), BOTH)
    assert len(losses) == 2 and found.item() == pytest.approx(np.mean(losses), abs=1e-4)


@pytest.mark.parametrize("labels", [IGNORE, OVERLAPPING, BOTH], ids=["ignore", "regions", "both"])
def test_masks_are_those_of_a_table_that_is_made_for_each_call(labels: Labels) -> None:
    _, label = drawn(labels)
    table = torch.zeros((len(labels.members), 256), dtype=torch.bool)
    for row, members in zip(table, labels.members, strict=True):
        row[list(members)] = True
    expected = table[:, label.long()].movedim(0, 1)
    assert torch.equal(one_hot(label, labels), expected)
    for index in range(1, len(labels.foreground) + 1):
        assert torch.equal(in_region(label[1:], labels, index), expected[1:, index - 1])


def test_the_table_of_the_masks_is_copied_to_a_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    _, label = drawn(BOTH)
    one_hot(label, BOTH)
    monkeypatch.setattr(torch, "zeros", None)
    assert one_hot(label, BOTH).shape == (2, 2, 6, 7, 8)
