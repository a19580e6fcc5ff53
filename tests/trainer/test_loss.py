import numpy as np
import pytest
import torch

from trainer.loss import deep_supervision_loss, dice_and_cross_entropy, foreground_counts, stage_weights


def confident(label: torch.Tensor, classes: int) -> torch.Tensor:
    return 40.0 * torch.nn.functional.one_hot(label.long(), classes).movedim(-1, 1).float()


def test_perfect_prediction_reaches_minus_one() -> None:
    label = torch.randint(0, 3, (2, 4, 6, 5), generator=torch.Generator().manual_seed(0))
    assert dice_and_cross_entropy(confident(label, 3), label, False).item() == pytest.approx(-1, abs=1e-4)


@pytest.mark.parametrize("batch_dice", [False, True])
def test_against_plain_numpy(batch_dice: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn((2, 3, 4, 5, 6), generator=generator)
    label = torch.randint(0, 3, (2, 4, 5, 6), generator=generator)
    p = np.exp(logits.double().numpy())
    p /= p.sum(1, keepdims=True)
    truth = np.eye(3)[label.numpy()].transpose(0, 4, 1, 2, 3)
    axes = (0, 2, 3, 4) if batch_dice else (2, 3, 4)
    dice = (2 * (p * truth).sum(axes) + 1e-5) / (p.sum(axes) + truth.sum(axes) + 1e-5)
    expected = -np.log((p * truth).sum(1)).mean() - dice[..., 1:].mean()
    assert dice_and_cross_entropy(logits, label, batch_dice).item() == pytest.approx(expected, abs=1e-5)


def test_stage_weights_halve() -> None:
    # nnU-Net's of four stages, of which the coarsest has weight 0 and gives no logits
    assert stage_weights(3) == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    assert stage_weights(1) == [1.0]


def test_deep_supervision_takes_labels_to_each_stage() -> None:
    label = torch.zeros((1, 4, 4, 4), dtype=torch.uint8)
    label[:, 2:] = 1
    coarse = label[:, ::2, ::2, ::2]
    coarsest = label[:, ::4, ::4, ::4]
    logits = [confident(label, 2), confident(coarse, 2), -confident(coarsest, 2)]
    assert deep_supervision_loss(logits, label, False).item() == pytest.approx(-1, abs=1e-4)


def test_counts_by_hand() -> None:
    label = torch.tensor([[[[0, 1, 1, 2]]]])
    predicted = torch.tensor([[[[1, 1, 0, 2]]]])
    counts = foreground_counts(confident(predicted, 3), label)
    assert counts.tolist() == [[1, 1], [2, 1], [2, 1]]
