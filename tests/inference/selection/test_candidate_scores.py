"""Candidates compared: counts against label maps made one by one, means as in evaluation, the choice."""

import numpy as np
import pytest
from scipy import ndimage, stats

from autoseg.errors import ImageError
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, write_image
from autoseg.metrics import case_metrics, count_voxels
from autoseg.metrics import mean_dice as mean_dice_of_rows
from autoseg.whole_image.case_probabilities import LEVELS
from inference.selection.candidate_scores import (
    CaseFiles,
    best_candidate,
    candidates_of,
    chosen_without,
    count_case,
    dice_table,
    gain_over,
    mean_over_classes,
    ranked,
)
from tests.inference.selectable import CASES, CROP, LABELS, STEP, STORED, make_selectable, probability_of, truth_of


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_selectable(tmp_path_factory.mktemp("selectable") / "run")


def files(run, case: int) -> CaseFiles:
    name = CASES[case]
    return CaseFiles(name, run.case("3d", name) / "reference.nii.gz", {n: run.probabilities(n) for n in STEP})


def on_the_image(case: int, name: str) -> np.ndarray:
    """The lesion's probability on the crop, by scipy, from what 8 bit keeps of it."""
    levels = np.rint(probability_of(case, name) * LEVELS) / LEVELS
    return ndimage.zoom(levels, (1, STEP[name], STEP[name]), order=1, mode="nearest", grid_mode=True)


def test_candidates_are_each_configuration_and_each_pair() -> None:
    assert candidates_of(("a", "b", "c")) == (("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"))
    assert candidates_of(("a",)) == (("a",),)


@pytest.mark.parametrize("slab", [10**9, 20_000])
def test_counts_are_those_of_the_mean_on_the_images_grid(run, monkeypatch, slab) -> None:
    monkeypatch.setattr("inference.selection.candidate_scores._SLAB_BYTES", slab)
    candidates = candidates_of(("2d", "3d"))
    counts = count_case(files(run, 3), candidates, LABELS)
    truth = truth_of(3).astype(bool)
    for candidate, (counted,) in zip(candidates, counts, strict=True):
        predicted = np.zeros_like(truth)
        mean = np.mean([on_the_image(3, name) for name in candidate], axis=0)
        predicted[CROP] = mean > 0.5
        expected = count_voxels(truth, predicted)
        near = int((np.abs(mean - 0.5) < 1e-5).sum())
        for field in ("tp", "fp", "fn", "tn"):
            assert abs(getattr(counted, field) - getattr(expected, field)) <= near, (candidate, field)
        assert counted.tp + counted.fp + counted.fn + counted.tn == truth.size


def test_the_mean_is_that_of_the_evaluation(run) -> None:
    rng = np.random.default_rng(0)
    labels = LABELS.changed(values=(0, 1, 2), names=("background", "a", "b"))
    rows, counts = [], []
    for i in range(4):
        # the second class is in neither of the first, and only in the prediction of the second case
        truth, guess = rng.integers(0, 2 if i < 2 else 3, (2, 5, 6, 7))
        guess[0, 0, 0] = 2 if i == 1 else guess[0, 0, 0]
        of_case = case_metrics(str(i), truth, guess, (1.0, 1.0, 1.0), labels, surfaces=False)
        rows += of_case
        counts.append([[row.counts for row in of_case]])
    dice = dice_table(counts)
    assert dice.shape == (1, 4, 2) and np.isnan(dice).sum() == 1
    assert mean_over_classes(dice[0]) == pytest.approx(mean_dice_of_rows(rows))
    assert mean_over_classes(np.full((3, 2), np.nan)) is None


def test_of_equal_candidates_the_smaller_is_taken() -> None:
    dice = np.array([0.7, 0.8, 0.8, 0.6])[:, None, None] * np.ones((4, 5, 2))
    candidates = (("a",), ("a", "b"), ("b",), ("c",))
    assert best_candidate(candidates, dice) == 2
    assert ranked(candidates, dice) == [2, 1, 0, 3]
    dice[2] = np.nan
    assert ranked(candidates, dice)[-1] == 2


def test_a_pair_must_gain_more_than_two_standard_errors() -> None:
    """Against the usual standard error of a mean: one class, a Dice in every case."""
    candidates = (("a",), ("b",), ("a", "b"))
    single = np.random.default_rng(0).uniform(0.6, 0.9, 12)
    gains = np.random.default_rng(1).normal(0, 0.05, 12)
    gains -= gains.mean()
    error = stats.sem(gains)
    for gain, chosen in ((1.9 * error, 0), (2.1 * error, 2)):
        dice = np.stack([single, single - 0.1, single + gains + gain])[:, :, None]
        assert gain_over(dice[0], dice[2]) == pytest.approx((gain, error))
        assert best_candidate(candidates, dice) == chosen
        assert ranked(candidates, dice)[0] == 2


def test_a_smaller_but_surer_gain_is_taken() -> None:
    candidates = (("a",), ("b",), ("c",), ("a", "b"), ("a", "c"))
    wavering = 0.03 + 0.2 * np.array([1, -1] * 5)
    dice = np.stack([np.full(10, 0.7), *[np.full(10, 0.6)] * 2, 0.7 + wavering, np.full(10, 0.72)])[:, :, None]
    assert ranked(candidates, dice)[:2] == [3, 4]
    assert best_candidate(candidates, dice) == 4


def test_the_choice_without_a_fold_is_judged_on_it() -> None:
    """The pair is best on the cases of fold 1 alone, the first configuration on those of fold 0."""
    folds = np.array([0, 0, 0, 1, 1, 1])
    dice = np.array([[0.9] * 3 + [0.5] * 3, [0.7] * 6, [0.6] * 3 + [0.8] * 3])[:, :, None]
    chosen, single = chosen_without((("a",), ("b",), ("a", "b")), dice, folds)
    # fold 0 is predicted by what is best on fold 1, and the other way round
    assert chosen.ravel().tolist() == [0.6] * 3 + [0.5] * 3
    assert single.ravel().tolist() == [0.7] * 3 + [0.5] * 3


def test_a_reference_on_another_grid_is_refused(run, tmp_path) -> None:
    moved = Geometry(STORED.shape, STORED.spacing, (0.0, 0.0, 0.0), STORED.direction)
    write_image(tmp_path / "reference.nii.gz", Image(np.zeros((1, *STORED.shape), np.uint8), moved))
    wrong = CaseFiles(CASES[0], tmp_path / "reference.nii.gz", files(run, 0).probabilities)
    with pytest.raises(ImageError, match="case_0"):
        count_case(wrong, (("2d",),), LABELS)
