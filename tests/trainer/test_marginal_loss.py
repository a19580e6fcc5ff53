"""The loss of cases in which some class was not looked for, against loops in numpy and double precision in torch."""

import threading
from functools import partial

import numpy as np
import pytest
import torch

from autoseg.image.labels import LabelRegion, Labels
from trainer.label_loss import label_loss, loss_of
from trainer.lesion_loss import lesion_regions, lesion_wise_loss
from trainer.loss import deep_supervision_loss, foreground_counts
from trainer.marginal_loss import known_counts, known_voxels, marginal_loss
from trainer.ranks import Ranks

NAMES = ("background", "a", "b", "c")
CLASSES = Labels(values=(0, 1, 2, 3), names=NAMES)
REGIONS = CLASSES.changed(
    regions=(
        LabelRegion(name="ab", values=(1, 2), value=1),
        LabelRegion(name="b", values=(2,), value=2),
        LabelRegion(name="c", values=(3,), value=3),
    )
)
KINDS = {
    "classes": CLASSES,
    "classes and ignore": CLASSES.changed(ignore=9),
    "regions": REGIONS,
    "regions and ignore": REGIONS.changed(ignore=9),
}
SPACING = (3.0, 1.0, 1.0)
# the first patch is of a case in which nobody looked for b, the second one of a case without a search for b and c
MISSING = np.array([[0, 0, 1, 0], [0, 0, 1, 1], [0, 0, 0, 0]], bool)


@pytest.fixture(params=KINDS)
def labels(request: pytest.FixtureRequest) -> Labels:
    return KINDS[request.param]


def drawn(labels: Labels, missing: np.ndarray = MISSING, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (3, K, z, y, x), and a label without the classes that nobody looked for."""
    random, shape = np.random.default_rng(seed), (len(missing), 3, 5, 6)
    label = random.integers(0, 4, shape) * (random.random(shape) < 0.4)
    for patch, of_patch in zip(label, missing, strict=True):
        patch[np.isin(patch, np.flatnonzero(of_patch))] = 0
    if labels.ignored is not None:
        label = np.where(random.random(shape) < 0.3, labels.ignored, label)
    logits = random.normal(0, 2, (shape[0], labels.outputs, *shape[1:])).astype(np.float32)
    return torch.from_numpy(logits).requires_grad_(), torch.from_numpy(label.astype(np.uint8))


def by_hand(logits: torch.Tensor, label: torch.Tensor, batch_dice: bool, labels: Labels) -> torch.Tensor:
    """The loss voxel by voxel in double precision, of which autograd knows the gradient."""
    scores, classes = logits.double(), label.numpy()
    members = [(1, 2), (2,), (3,)] if labels.overlapping else [(1,), (2,), (3,)]
    probability = torch.sigmoid(scores) if labels.overlapping else torch.softmax(scores, 1)
    # a Dice is taken of each region, in each patch or in the batch; it is 1 where nothing is known of it
    pools = range(3) if batch_dice else [(region, patch) for region in range(3) for patch in range(len(classes))]
    entropies, voxels, voxels_of = [], 0, {pool: [] for pool in pools}
    for patch, z, y, x in np.ndindex(classes.shape):
        value = int(classes[patch, z, y, x])
        if labels.ignored is not None and value == labels.ignored:
            continue
        voxels += 1
        p, unknown = probability[patch, :, z, y, x], set(np.flatnonzero(MISSING[patch]))
        if not labels.overlapping:
            # what may be there: the label's class, or with the background all that nobody looked for
            may_be = [value] if value else [0, *unknown]
            entropies.append(-torch.log(sum(p[int(index)] for index in may_be)))
        for region, of_region in enumerate(members):
            known = not unknown & set(of_region) or (labels.overlapping and value != 0)
            if not known:
                continue
            own = p[region] if labels.overlapping else p[region + 1]
            truth = float(value in of_region)
            if labels.overlapping:
                entropies.append(-torch.log(own if truth else 1 - own) / 3)
            pool = region if batch_dice else (region, patch)
            voxels_of[pool].append((own, truth))
    dice = [
        (2 * sum(p * t for p, t in pool) + 1e-5) / (sum(p + t for p, t in pool) + 1e-5) for pool in voxels_of.values()
    ]
    return torch.stack(entropies).sum() / voxels - sum(dice) / len(dice)


@pytest.mark.parametrize("batch_dice", [False, True])
def test_it_is_the_loss_that_loops_find_and_so_is_its_gradient(labels: Labels, batch_dice: bool) -> None:
    logits, label = drawn(labels)
    expected = by_hand(logits, label, batch_dice, labels)
    (gradient,) = torch.autograd.grad(expected, logits)
    found = marginal_loss(logits, label, batch_dice, labels=labels, missing=torch.from_numpy(MISSING))
    (ours,) = torch.autograd.grad(found, logits)
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)
    torch.testing.assert_close(ours, gradient.float(), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("batch_dice", [False, True])
def test_where_every_class_was_looked_for_it_is_the_usual_loss(labels: Labels, batch_dice: bool) -> None:
    none = torch.zeros((3, 4), dtype=torch.bool)
    logits, label = drawn(labels, none.numpy())
    found = marginal_loss(logits, label, batch_dice, labels=labels, missing=none)
    torch.testing.assert_close(found, label_loss(logits, label, batch_dice, labels=labels))
    torch.testing.assert_close(found, loss_of(labels)(logits, label, batch_dice))


@pytest.mark.parametrize("batch_dice", [False, True])
@pytest.mark.parametrize("kind", ["classes and ignore", "regions and ignore"])
def test_so_it_is_beside_a_patch_without_an_annotated_voxel(kind: str, batch_dice: bool) -> None:
    none = torch.zeros((3, 4), dtype=torch.bool)
    logits, label = drawn(KINDS[kind], none.numpy())
    label[1] = KINDS[kind].ignored
    expected = label_loss(logits, label, batch_dice, labels=KINDS[kind])
    assert marginal_loss(logits, label, batch_dice, labels=KINDS[kind], missing=none).item() == pytest.approx(
        expected.item(), abs=1e-6
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_partly_annotated_patch_does_not_change_what_others_weigh(kind: str) -> None:
    logits, label = drawn(KINDS[kind])
    gradients = []
    for missing in (torch.from_numpy(MISSING), torch.zeros((3, 4), dtype=torch.bool)):
        loss = marginal_loss(logits, label, False, labels=KINDS[kind], missing=missing)
        gradients.append(torch.autograd.grad(loss, logits)[0])
    torch.testing.assert_close(gradients[0][2], gradients[1][2])
    assert not torch.equal(gradients[0][:2], gradients[1][:2])


def test_what_is_predicted_of_a_class_that_nobody_looked_for_costs_nothing_on_the_background() -> None:
    label = torch.zeros((1, 2, 2, 2), dtype=torch.uint8)
    missing = torch.tensor([[False, False, True, False]])
    logits = torch.zeros((1, 4, 2, 2, 2))
    logits[:, 2] = 30.0
    sure = marginal_loss(logits, label, True, labels=CLASSES, missing=missing)
    # cross-entropy is 0, and Dice is that of classes that are neither there nor predicted
    assert sure.item() == pytest.approx(-1, abs=1e-4)
    wrong = logits.roll(1, dims=1)
    assert marginal_loss(wrong, label, True, labels=CLASSES, missing=missing).item() > 20


def test_a_batch_in_which_nothing_is_known_has_a_finite_loss_and_teaches_nothing() -> None:
    labels = REGIONS.changed(regions=(LabelRegion(name="all", values=(1, 2, 3), value=1),))
    logits = torch.randn((2, 1, 3, 4, 4), requires_grad=True)
    missing = torch.tensor([[False, True, False, False]] * 2)
    label = torch.zeros((2, 3, 4, 4), dtype=torch.uint8)
    for batch_dice in (False, True):
        loss = marginal_loss(logits, label, batch_dice, labels=labels, missing=missing)
        loss.backward()
        assert loss.item() == -1 and not logits.grad.any()


def test_counts_of_the_training_dice_are_those_of_known_voxels(labels: Labels) -> None:
    logits, label = drawn(labels)
    missing = torch.from_numpy(MISSING)
    found = known_counts(logits, label, labels=labels, missing=missing).numpy()
    truth = label.numpy()
    members = [(1, 2), (2,), (3,)] if labels.overlapping else [(1,), (2,), (3,)]
    winner = logits.detach().numpy().argmax(1)
    for region, of_region in enumerate(members):
        known = np.zeros(truth.shape, bool)
        for patch, of_patch in enumerate(MISSING):
            known[patch] = not of_patch[list(of_region)].any()
            if labels.overlapping:
                known[patch] |= truth[patch] != 0
        if labels.ignored is not None:
            known &= truth != labels.ignored
        np.testing.assert_array_equal(known_voxels(label, labels, missing)[:, region].numpy(), known)
        predicted = logits.detach().numpy()[:, region] > 0 if labels.overlapping else winner == region + 1
        right = np.isin(truth, of_region)
        expected = [(part & known).sum() for part in (predicted & right, predicted, right)]
        np.testing.assert_array_equal(found[:, region], expected)
    none = torch.zeros((3, 4), dtype=torch.bool)
    whole = known_counts(torch.randn(3, 4, 3, 5, 6), label % 4, labels=CLASSES, missing=none)
    assert whole.shape == foreground_counts(torch.randn(3, 4, 3, 5, 6), label % 4).shape


def test_every_stage_and_every_lesion_is_compared_so(labels: Labels) -> None:
    logits, label = drawn(labels)
    missing = torch.from_numpy(MISSING)
    stage = partial(marginal_loss, labels=labels, missing=missing)
    total = deep_supervision_loss([logits], label, True, loss=stage)
    torch.testing.assert_close(total, stage(logits, label, True))

    scores, classes = logits.detach().double(), label.numpy()
    p = torch.sigmoid(scores) if labels.overlapping else torch.softmax(scores, 1)
    known = known_voxels(label, labels, missing).numpy()
    losses = []
    found = lesion_regions(classes, SPACING, labels, MISSING)
    for of_class in found:
        of_lesion = []
        members = ([(1, 2), (2,), (3,)] if labels.overlapping else [(1,), (2,), (3,)])[of_class.index - 1]
        own = p[:, of_class.index - labels.overlapping].numpy()
        truth = np.isin(classes, members)
        if labels.overlapping:
            entropy, counted = -np.log(np.where(truth, own, 1 - own)), known[:, of_class.index - 1]
        else:
            may_be = np.array([[[index == 0 or row[index] for index in range(4)]] for row in MISSING])[:, 0]
            summed = (p.numpy() * may_be[:, :, None, None, None]).sum(1)
            right = np.take_along_axis(p.numpy(), np.where(classes > 3, 0, classes)[:, None].astype(int), 1)[:, 0]
            entropy = -np.log(np.where(classes == 0, summed, right))
            counted = np.ones(classes.shape, bool) if labels.ignored is None else classes != labels.ignored
        for lesion in range(of_class.count):
            inside = np.zeros(classes.shape, bool)
            inside[of_class.patches.numpy()] = of_class.regions.numpy() == lesion
            inside &= counted
            dice = 2 * (own * truth)[inside].sum() / (own[inside].sum() + truth[inside].sum())
            of_lesion.append(entropy[inside].mean() - dice)
        losses.append(np.mean(of_lesion))
    ours = lesion_wise_loss(logits, label, found, labels, missing=missing)
    assert len(losses) == 3 and ours.item() == pytest.approx(np.mean(losses), abs=1e-4)


class Paired(Ranks):
    """One of two processes, which are threads here, with an all-reduce that waits for both."""

    def summed(self, values: torch.Tensor) -> torch.Tensor:
        BOX[self.rank] = values
        BOTH.wait(20)
        total = BOX[0] + BOX[1]
        BOTH.wait(20)
        return total


BOX: dict[int, torch.Tensor] = {}
BOTH = threading.Barrier(2)


@pytest.mark.parametrize("batch_dice", [False, True])
def test_two_processes_have_the_loss_of_one(labels: Labels, batch_dice: bool) -> None:
    # the last patches, in which everything was looked for, are in one process alone
    missing = torch.from_numpy(MISSING[[0, 1, 2, 2]])
    logits, label = drawn(labels, missing.numpy())
    whole = marginal_loss(logits, label, batch_dice, labels=labels, missing=missing)
    (gradient,) = torch.autograd.grad(whole, logits)
    found: dict[int, torch.Tensor] = {}

    def part(rank: int) -> None:
        own = slice(0, 2) if rank == 0 else slice(2, 4)
        arguments = {"labels": labels, "missing": missing[own]}
        found[rank] = marginal_loss(logits[own], label[own], batch_dice, Paired(rank, 2), **arguments)

    threads = [threading.Thread(target=part, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    both = (found[0] + found[1]) / 2
    torch.testing.assert_close(both, whole)
    (shared,) = torch.autograd.grad(both, logits)
    torch.testing.assert_close(shared, gradient)
