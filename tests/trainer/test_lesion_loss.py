"""The regions of lesions against brute-force distances, the loss in them against loops."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.spatial.distance import cdist

from tests.example_plan import LABELS
from tests.trainer.tiny_run import make_plan, make_training
from trainer.data.batch import Batch
from trainer.learner import Learner
from trainer.lesion_loss import lesion_regions, lesion_wise_loss
from trainer.loss import deep_supervision_loss, dice_and_cross_entropy

SPACING = (4.0, 1.0, 0.7)
SMOOTH = 1e-5


def specks(seed: int, shape: tuple[int, ...] = (2, 6, 9, 8), classes: int = 3) -> np.ndarray:
    """A label of random small pieces of every class; the last patch holds none."""
    rng = np.random.default_rng(seed)
    label = rng.integers(1, classes, shape) * (rng.random(shape) < 0.03)
    return np.concatenate([label, np.zeros_like(label[:1])]).astype(np.uint8)


def loss_of(logits: torch.Tensor, label: np.ndarray) -> float:
    return lesion_wise_loss(logits, torch.from_numpy(label), lesion_regions(label, SPACING, LABELS), LABELS).item()


def confident(label: np.ndarray, classes: int, strength: float = 40.0) -> torch.Tensor:
    return strength * torch.nn.functional.one_hot(torch.from_numpy(label).long(), classes).movedim(-1, 1).float()


@pytest.mark.parametrize("seed", range(5))
def test_every_voxel_belongs_to_a_nearest_lesion(seed: int) -> None:
    label = specks(seed)
    points = np.argwhere(np.ones(label.shape[1:]))
    for of_class in lesion_regions(label, SPACING, LABELS):
        assert of_class.count == sum(ndimage.label(p == of_class.index, np.ones((3, 3, 3)))[1] for p in label)
        first = 0
        for patch, regions in zip(of_class.patches.tolist(), of_class.regions.numpy(), strict=True):
            lesions, count = ndimage.label(label[patch] == of_class.index, np.ones((3, 3, 3)))
            distances = np.stack(
                [
                    cdist(points * SPACING, np.argwhere(lesions == i + 1) * SPACING).min(axis=1).reshape(lesions.shape)
                    for i in range(count)
                ]
            )
            assert set(np.unique(regions)) == set(range(first, first + count))
            own = np.array([np.unique(regions[lesions == i + 1]) for i in range(count)])
            assert own.shape == (count, 1), "a lesion lies in several regions"
            of_region = {int(region): i for i, region in enumerate(own.ravel())}
            chosen = np.vectorize(of_region.get)(regions)
            taken = np.take_along_axis(distances, chosen[None], axis=0)[0]
            np.testing.assert_allclose(taken, distances.min(axis=0), atol=1e-6)
            first += count


@pytest.mark.parametrize("seed", range(3))
def test_against_loops_over_the_regions(seed: int) -> None:
    label = specks(seed)
    logits = torch.randn((len(label), 3, *label.shape[1:]), generator=torch.Generator().manual_seed(seed))
    p = np.exp(logits.double().numpy())
    p /= p.sum(1, keepdims=True)
    cross_entropy = -np.log(np.take_along_axis(p, label[:, None].astype(int), 1)[:, 0])
    by_class = []
    for of_class in lesion_regions(label, SPACING, LABELS):
        losses = []
        for patch, regions in zip(of_class.patches.tolist(), of_class.regions.numpy(), strict=True):
            for region in np.unique(regions):
                here = regions == region
                truth, guess = (label[patch] == of_class.index)[here], p[patch, of_class.index][here]
                dice = (2 * (guess * truth).sum() + SMOOTH) / (guess.sum() + truth.sum() + SMOOTH)
                losses.append(cross_entropy[patch][here].mean() - dice)
        assert len(losses) == of_class.count
        by_class.append(np.mean(losses))
    assert len(by_class) == 2
    expected = np.mean(by_class)
    assert loss_of(logits, label) == pytest.approx(expected, abs=1e-5)


def test_a_perfect_prediction_reaches_minus_one_and_none_is_needed_without_lesions() -> None:
    label = specks(0)
    assert loss_of(confident(label, 3), label) == pytest.approx(-1, abs=1e-4)
    empty = np.zeros_like(label)
    assert lesion_regions(empty, SPACING, LABELS) == ()
    assert loss_of(confident(specks(1), 3), empty) == 0


def test_a_missed_speck_costs_as_much_as_a_missed_boulder() -> None:
    label = np.zeros((1, 16, 32, 32), np.uint8)
    label[0, 2:12, 2:14, 2:14] = 1
    label[0, 8, 26:28, 26:28] = 1
    without_speck, without_boulder = label.copy(), label.copy()
    without_speck[0, 8, 26:28, 26:28] = 0
    without_boulder[0, 2:12, 2:14, 2:14] = 0
    # weak enough for the cross-entropy of so few voxels not to speak
    plain, by_lesion = (
        [cost(confident(guess, 2, 12.0), label) for guess in (label, without_speck, without_boulder)]
        for cost in (lambda x, y: dice_and_cross_entropy(x, torch.from_numpy(y), False).item(), loss_of)
    )
    assert plain[1] - plain[0] < 0.05
    assert plain[2] - plain[0] > 0.9
    for missed in by_lesion[1:]:
        # one of two lesions: half of the Dice, and the cross-entropy of its voxels
        assert missed - by_lesion[0] > 0.45
    assert by_lesion[1] - by_lesion[0] > 10 * (plain[1] - plain[0])


def test_the_gradient_asks_for_the_missed_lesion_and_against_what_was_made_up() -> None:
    label = np.zeros((1, 4, 12, 12), np.uint8)
    label[0, 1, 2:4, 2:4] = 1
    label[0, 2, 8:11, 8:11] = 1
    logits = torch.zeros((1, 2, *label.shape[1:]), requires_grad=True)
    lesion_wise_loss(logits, torch.from_numpy(label), lesion_regions(label, SPACING, LABELS), LABELS).backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()
    towards = -logits.grad[0, 1].numpy()
    assert (towards[label[0] == 1] > 0).all()
    assert (towards[label[0] == 0] < 0).all()


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_a_step_adds_it_by_its_weight(weight: float) -> None:
    training = make_training(lesion_loss=weight)
    plan = make_plan(training)
    configuration = plan.configurations["3d"]
    learner = Learner(plan, configuration, training, torch.device("cpu"), seed=3)
    generator = torch.Generator().manual_seed(0)
    shape = (2, *configuration.patch_size)
    image = torch.randn((2, 1, *configuration.patch_size), generator=generator)
    label = (torch.rand(shape, generator=generator) < 0.02).to(torch.uint8)
    with torch.no_grad(), torch.autocast("cpu", learner.half, enabled=learner.half is not None):
        logits = learner.module(image)
    lesions = lesion_wise_loss(logits[0], label, lesion_regions(label.numpy(), (1.0, 1.0, 1.0), LABELS), LABELS)
    expected = deep_supervision_loss(logits, label, training.batch_dice) + weight * lesions
    regions = lesion_regions(label.numpy(), (1.0, 1.0, 1.0), LABELS)
    value, _ = learner.step(Batch(image, label, 0, regions), 1e-3, 0)
    assert lesions.item() > -0.5
    assert value.item() == pytest.approx(expected.item(), abs=1e-5)


def test_nothing_is_looked_up_for_a_class_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.lesion_loss._known", None)
    empty = np.zeros((1, 2, 4, 4), np.uint8)
    assert lesion_regions(empty, SPACING, LABELS, np.ones((1, LABELS.classes), bool)) == ()
