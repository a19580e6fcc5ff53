"""Lesion-wise detection against a hand-made case and scipy's components."""

from math import pi

import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import fbeta_score

from autoseg.metrics import f_beta, match_lesions
from autoseg.metrics.lesions import equivalent_diameter


def test_found_missed_and_false_by_hand() -> None:
    reference, prediction = np.zeros((1, 9, 20), bool), np.zeros((1, 9, 20), bool)
    reference[0, 1:3, 1:5] = True  # 8 voxels, half of it predicted
    prediction[0, 1:3, 3:6] = True  # 6 voxels, 4 of them right
    reference[0, 6, 6] = reference[0, 7, 7] = True  # one lesion, joined by a corner; missed
    prediction[0, 4, 15:18] = True  # false
    match = match_lesions(reference, prediction, (5.0, 2.0, 1.0))
    assert (match.found, match.missed, match.predicted, match.false) == (1, 1, 2, 1)
    found, missed = match.lesions
    assert found.overlap == pytest.approx(0.5)
    assert found.dice == pytest.approx(2 * 4 / (8 + 6))
    assert found.volume_ml == pytest.approx(0.08)
    assert (missed.overlap, missed.dice, missed.found) == (0.0, 0.0, False)
    assert missed.volume_ml == pytest.approx(0.02)


def test_one_component_may_find_two_lesions_and_one_lesion_may_take_two() -> None:
    reference, prediction = np.zeros((1, 1, 12), bool), np.zeros((1, 1, 12), bool)
    reference[0, 0, [1, 4]] = True
    prediction[0, 0, 1:5] = True
    merged = match_lesions(reference, prediction, (1.0, 1.0, 1.0))
    assert (merged.found, merged.missed, merged.predicted, merged.false) == (2, 0, 1, 0)
    split = match_lesions(prediction, reference, (1.0, 1.0, 1.0))
    assert (split.found, split.missed, split.predicted, split.false) == (1, 0, 2, 0)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scipys_components_on_random_masks(seed: int) -> None:
    random = np.random.default_rng(seed)
    reference, prediction = (random.random((2, 12, 15, 13)) < 0.06)[:]
    cube = np.ones((3, 3, 3))
    lesions, n_lesions = ndimage.label(reference, cube)
    parts, n_parts = ndimage.label(prediction, cube)
    dice = []
    for i in range(1, n_lesions + 1):
        lesion = lesions == i
        near = (
            np.isin(parts, np.unique(parts[lesion & prediction]))
            if (lesion & prediction).any()
            else np.zeros_like(lesion)
        )
        dice.append(2 * (lesion & near).sum() / (lesion.sum() + near.sum()))
    false = sum(not (reference & (parts == i)).any() for i in range(1, n_parts + 1))
    match = match_lesions(reference, prediction, (1.0, 1.0, 1.0))
    assert sorted(lesion.dice for lesion in match.lesions) == pytest.approx(sorted(dice))
    assert match.found == sum(d > 0 for d in dice)
    assert (len(match.lesions), match.predicted, match.false) == (n_lesions, n_parts, false)


def test_no_lesions_at_all() -> None:
    nothing = np.zeros((3, 3, 3), bool)
    match = match_lesions(nothing, nothing, (1.0, 1.0, 1.0))
    assert (match.lesions, match.predicted, match.false) == ((), 0, 0)


def test_diameter_is_that_of_the_ball_of_equal_volume() -> None:
    assert equivalent_diameter(pi / 6) == pytest.approx(10.0)


@pytest.mark.parametrize("beta", [1, 2])
@pytest.mark.parametrize(("found", "missed", "false"), [(5, 2, 1), (1, 9, 0), (3, 0, 30), (0, 4, 2)])
def test_f_beta_agrees_with_scikit_learn(beta: float, found: int, missed: int, false: int) -> None:
    truth = [1] * (found + missed) + [0] * false
    guess = [1] * found + [0] * missed + [1] * false
    expected = fbeta_score(truth, guess, beta=beta)
    assert f_beta(found / (found + missed), found / (found + false), beta) == pytest.approx(expected)


def test_f_beta_is_not_defined_where_its_parts_are_not() -> None:
    assert f_beta(None, 0.5, 2) is None
    assert f_beta(0.0, None, 2) is None
