"""Voxels for patch sampling: even over lesions, complete for small ones, repeatable."""

import numpy as np
import pytest
from scipy import ndimage

from autoseg.image.labels import Labels
from autoseg.preprocessing.foreground import sample_foreground, shares

LABELS = Labels(values=tuple(range(6)), names=("background", "a", "b", "c", "d", "e"))


def label_with_lesions() -> np.ndarray:
    label = np.zeros((40, 50, 60), np.uint8)
    label[2:22, 2:22, 2:22] = 1  # 8000 voxels
    label[30:34, 30:34, 30:34] = 1  # 64
    label[38, 45, 50] = 1
    label[38, 46, 51] = 1  # touches the one before by an edge: the same lesion
    label[5:9, 40:44, 40:44] = 2
    label[30:34, 5:8, 5:8] = 5
    return label


def test_voxels_lie_in_their_class_and_once() -> None:
    label = label_with_lesions()
    drawn = sample_foreground(label, np.random.default_rng(0), LABELS, per_class=300)
    assert (label[tuple(drawn.voxels.T)] == drawn.classes).all()
    assert len(np.unique(drawn.voxels, axis=0)) == len(drawn.voxels)
    assert drawn.voxels.dtype == np.int32 and drawn.classes.dtype == np.uint8 and drawn.lesions.dtype == np.int32


def test_a_small_lesion_gives_all_its_voxels_and_large_ones_share_the_rest() -> None:
    drawn = sample_foreground(label_with_lesions(), np.random.default_rng(0), LABELS, per_class=300)
    first = np.bincount(drawn.lesions[drawn.classes == 1])
    assert sorted(first.tolist()) == [2, 64, 234]
    assert (drawn.classes == 2).sum() == 64 and (drawn.classes == 5).sum() == 36


def test_lesions_are_connected_components_of_26_neighbours() -> None:
    label = label_with_lesions()
    drawn = sample_foreground(label, np.random.default_rng(0), LABELS)
    components, count = ndimage.label(label == 1, structure=np.ones((3, 3, 3)))
    of_first = drawn.classes == 1
    pairs = set(
        zip(drawn.lesions[of_first].tolist(), components[tuple(drawn.voxels[of_first].T)].tolist(), strict=True)
    )
    assert len(pairs) == count == 3
    assert {lesion for lesion, _ in pairs} == {0, 1, 2}


def test_large_lesions_are_drawn_from_all_over() -> None:
    label = np.zeros((30, 30, 30), np.uint8)
    label[:, :, :] = 1
    drawn = sample_foreground(label, np.random.default_rng(0), LABELS, per_class=3000)
    assert len(drawn.voxels) == 3000
    # uniform over 30 positions: the mean is 14.5 with a standard error of 0.16
    np.testing.assert_allclose(drawn.voxels.mean(axis=0), 14.5, atol=0.7)


def test_the_same_seed_draws_the_same() -> None:
    label = label_with_lesions()
    one, two, other = (
        sample_foreground(label, np.random.default_rng(seed), LABELS, per_class=50) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.voxels, two.voxels)
    assert not np.array_equal(one.voxels, other.voxels)


def test_no_foreground_is_no_voxel() -> None:
    drawn = sample_foreground(np.zeros((4, 4, 4), np.uint8), np.random.default_rng(0), LABELS)
    assert drawn.voxels.shape == (0, 3) and drawn.classes.shape == (0,) and drawn.lesions.shape == (0,)


@pytest.mark.parametrize(
    ("sizes", "total", "expected"),
    [
        ([10, 10], 100, [10, 10]),
        ([1000, 3], 100, [97, 3]),
        ([1000, 1000, 4], 100, [48, 48, 4]),
        ([5, 5, 5], 2, [1, 1, 1]),
        ([], 5, []),
    ],
)
def test_shares_are_even(sizes: list[int], total: int, expected: list[int]) -> None:
    assert shares(np.array(sizes, dtype=int), total).tolist() == expected


def test_the_voxels_drawn_of_a_lesion_stand_for_all_of_it() -> None:
    label = label_with_lesions()
    drawn = sample_foreground(label, np.random.default_rng(0), LABELS, per_class=300)
    assert drawn.weights is not None
    for index in (1, 2, 5):
        components, count = ndimage.label(label == index, structure=np.ones((3, 3, 3)))
        of_class = drawn.classes == index
        stood_for = np.bincount(drawn.lesions[of_class], drawn.weights[of_class])
        assert sorted(stood_for) == pytest.approx(sorted(np.bincount(components.ravel())[1:]), rel=1e-5)
        assert len(stood_for) == count
