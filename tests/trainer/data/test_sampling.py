import numpy as np
import pytest
from scipy.stats import chisquare

from autoseg.run_folder.preprocessed_case import Foreground
from trainer.data.sampling import LesionVoxels, draw_case, is_foreground_place, place_anywhere, place_on_foreground

SHAPE = (30, 40, 50)
DRAWS = 3000


def foreground(*lesions: tuple[int, int, int]) -> Foreground:
    """Voxels of lesions given as (class, lesion, size), shuffled; voxel (lesion's position, 0, i)."""
    voxels, classes, numbers = [], [], []
    for position, (class_index, lesion, size) in enumerate(lesions):
        voxels += [(position, 0, i) for i in range(size)]
        classes += [class_index] * size
        numbers += [lesion] * size
    order = np.random.default_rng(0).permutation(len(voxels))
    return Foreground(
        np.array(voxels, np.int32)[order], np.array(classes, np.uint8)[order], np.array(numbers, np.int32)[order]
    )


def test_a_lesion_of_one_voxel_is_drawn_as_often_as_a_large_one() -> None:
    lesions = LesionVoxels(foreground((1, 0, 45), (1, 1, 1), (1, 2, 7), (3, 0, 2)))
    rng = np.random.default_rng(1)
    drawn = np.bincount([lesions.draw(rng)[0] for _ in range(DRAWS)], minlength=4)
    # class 1 or 3 with one half; class 1 has three lesions, class 3 one
    assert chisquare(drawn, np.array([1 / 6, 1 / 6, 1 / 6, 1 / 2]) * DRAWS).pvalue > 1e-3


def test_voxels_of_a_lesion_are_drawn_equally_often() -> None:
    lesions = LesionVoxels(foreground((2, 4, 10)))
    rng = np.random.default_rng(1)
    drawn = np.bincount([lesions.draw(rng)[2] for _ in range(DRAWS)], minlength=10)
    assert len(drawn) == 10
    assert chisquare(drawn).pvalue > 1e-3


def test_background_among_the_voxels_is_never_drawn() -> None:
    assert LesionVoxels(foreground((0, 0, 20), (2, 0, 1))).classes == (2,)
    assert LesionVoxels(foreground((0, 0, 20))).classes == ()


def test_cases_are_drawn_uniformly_and_foreground_only_where_it_is() -> None:
    rng = np.random.default_rng(2)
    drawn = np.bincount([draw_case(rng, (True, False, True), False) for _ in range(DRAWS)], minlength=3)
    assert chisquare(drawn).pvalue > 1e-3
    drawn = np.bincount([draw_case(rng, (True, False, True), True) for _ in range(DRAWS)], minlength=3)
    assert drawn[1] == 0
    assert chisquare(drawn[[0, 2]]).pvalue > 1e-3
    assert draw_case(rng, (False,), True) == 0


@pytest.mark.parametrize("patch", [(8, 12, 16), (40, 12, 1), (30, 40, 50)])
def test_every_foreground_patch_contains_its_voxel_away_from_its_rim(patch: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(3)
    corner = LesionVoxels(Foreground(np.array([(29, 0, 25)], np.int32), np.ones(1, np.uint8), np.zeros(1, np.int32)))
    anywhere = np.stack([rng.integers(0, SHAPE) for _ in range(200)]).astype(np.int32)
    spread = LesionVoxels(Foreground(anywhere, np.ones(200, np.uint8), np.zeros(200, np.int32)))
    for lesions in (corner, spread):
        for _ in range(500):
            place = place_on_foreground(rng, lesions, SHAPE, patch)
            for n, p, lower, voxel in zip(SHAPE, patch, place.lower, place.pivot, strict=True):
                assert lower <= voxel < lower + p
                assert min(0, n - p) <= lower <= max(0, n - p)
                if p // 2 <= voxel < n - p // 2:
                    assert p // 4 <= voxel - lower < p - p // 4


def test_the_voxel_lies_at_every_offset_of_the_middle_half_equally_often() -> None:
    centre = LesionVoxels(Foreground(np.array([(15, 20, 25)], np.int32), np.ones(1, np.uint8), np.zeros(1, np.int32)))
    rng = np.random.default_rng(4)
    offsets = [25 - place_on_foreground(rng, centre, SHAPE, (8, 12, 16)).lower[2] for _ in range(DRAWS)]
    counts = np.bincount(offsets, minlength=16)
    assert counts[:4].sum() == counts[12:].sum() == 0
    assert chisquare(counts[4:12]).pvalue > 1e-3


def test_other_patches_begin_everywhere_in_the_image_equally_often() -> None:
    rng = np.random.default_rng(5)
    places = [place_anywhere(rng, (10, 5, 7), (8, 8, 1)) for _ in range(DRAWS)]
    for axis, starts in enumerate([range(0, 3), range(-3, 1), range(0, 7)]):
        drawn = [p.lower[axis] for p in places]
        assert set(drawn) == set(starts)
        assert chisquare(np.unique(drawn, return_counts=True)[1]).pvalue > 1e-3
    assert all(p.pivot == (p.lower[0] + 3.5, p.lower[1] + 3.5, p.lower[2]) for p in places)


@pytest.mark.parametrize(
    ("batch_size", "share", "expected"),
    [(2, 0.33, 1), (4, 0.33, 2), (12, 1 / 3, 4), (3, 1 / 3, 1), (5, 0, 0), (2, 1, 2)],
)
def test_the_share_of_foreground_is_reached_in_every_batch(batch_size: int, share: float, expected: int) -> None:
    for step in range(3):
        chosen = [is_foreground_place(place, step, batch_size, share) for place in range(batch_size)]
        assert sum(chosen) == expected
        assert chosen == sorted(chosen)


def test_a_batch_of_one_alternates() -> None:
    chosen = [is_foreground_place(0, step, 1, 1 / 3) for step in range(300)]
    assert 100 <= sum(chosen) <= 101
    assert sum(chosen[:4]) == 2


def test_by_voxel_every_voxel_of_a_class_is_drawn_equally_often() -> None:
    lesions = LesionVoxels(foreground((1, 0, 45), (1, 1, 1), (1, 2, 7), (3, 0, 2)), "voxel")
    rng = np.random.default_rng(1)
    voxels = np.array([lesions.draw(rng) for _ in range(4 * DRAWS)])
    drawn = np.bincount(voxels[:, 0], minlength=4)
    # class 1 or 3 with one half; within class 1 as many as each lesion has voxels
    expected = np.array([45 / 53, 1 / 53, 7 / 53, 1]) / 2
    assert chisquare(drawn, expected * 4 * DRAWS).pvalue > 1e-3
    of_first = np.bincount(voxels[voxels[:, 0] == 0, 2], minlength=45)
    assert chisquare(of_first).pvalue > 1e-3


def test_by_voxel_a_voxel_is_drawn_as_often_as_it_stands_for() -> None:
    few = Foreground(
        np.array([(0, 0, 0), (1, 0, 0), (2, 0, 0)], np.int32),
        np.array([2, 1, 2], np.uint8),
        np.array([0, 0, 1], np.int32),
        np.array([9, 5, 1], np.float32),
    )
    lesions, rng = LesionVoxels(few, "voxel"), np.random.default_rng(1)
    drawn = np.bincount([lesions.draw(rng)[0] for _ in range(DRAWS)], minlength=3)
    assert chisquare(drawn, np.array([0.45, 0.5, 0.05]) * DRAWS).pvalue > 1e-3
