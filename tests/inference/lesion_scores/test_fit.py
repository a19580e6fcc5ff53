"""The score of predicted lesions: calibrated on cases that it was not fitted to."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from autoseg.image.geometry import Geometry
from inference.lesion_scores.components import MeasuredLesion
from inference.lesion_scores.fit import (
    BINS,
    LEAST_LESIONS,
    CaseLesions,
    calibration_error,
    fit_scores,
    held_out_scores,
    reliability,
)
from tests.example_record import STRAIGHT

GRID = Geometry((4, 5, 6), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), STRAIGHT)
ANNOTATED = (MeasuredLesion(9, 1.0, 0.5, 0.9, (0, 0, 0)),) * 5


def cases_of(count: int, seed: int = 0, *, sure: float = 2.0, folds: int = 5) -> list[CaseLesions]:
    """Cases whose predicted lesions are real with a probability that follows from their mean probability and volume.

    The network is too sure of itself: its logits are `sure` times as large as they should be.
    """
    rng = np.random.default_rng(seed)
    cases = []
    for case in range(count):
        predicted = []
        for number in range(rng.integers(2, 7)):
            logit, volume = rng.normal(0, 1.5), rng.lognormal(-0.5, 1)
            real = rng.random() < 1 / (1 + np.exp(-(logit + np.log(volume))))
            mean = 1 / (1 + np.exp(-sure * logit))
            lesion = MeasuredLesion(
                9, float(volume), float(mean), float(max(mean, 0.5)), (0, 0, 0), (number + 1,) if real else ()
            )
            predicted.append(lesion)
        cases.append(CaseLesions(f"case_{case}", case % folds, ANNOTATED, tuple(predicted), GRID))
    return cases


def test_scores_are_calibrated_on_cases_that_they_were_not_fitted_to() -> None:
    scored = fit_scores("lesion", cases_of(200))
    assert scored is not None
    fitted = scored.scores
    others = [lesion for case in cases_of(200, seed=1) for lesion in case.predicted]
    scores = np.array([fitted.of(lesion.features) for lesion in others])
    real = np.array([bool(lesion.touches) for lesion in others])
    share, mean = calibration_curve(real, scores, n_bins=BINS)
    np.testing.assert_allclose(share, mean, atol=0.08)
    # the mean probability itself is too sure
    plain = np.array([lesion.mean_probability for lesion in others])
    assert calibration_error(reliability(plain, real)) > 2 * calibration_error(reliability(scores, real))
    assert fitted.calibration_error < 0.05 and fitted.lesions == sum(len(c.predicted) for c in cases_of(200))


def test_the_diagram_is_sklearns() -> None:
    rng = np.random.default_rng(2)
    scores = rng.random(300)
    real = rng.random(300) < scores**2
    bins = reliability(scores, real)
    share, mean = calibration_curve(real, scores, n_bins=BINS)
    assert [one.real for one in bins] == pytest.approx(list(share))
    assert [one.score for one in bins] == pytest.approx(list(mean))
    assert sum(one.n for one in bins) == 300
    weights = np.array([one.n for one in bins]) / 300
    assert calibration_error(bins) == pytest.approx(float((weights * np.abs(share - mean)).sum()))


def test_scores_of_a_fold_do_not_know_its_answers() -> None:
    """Where nothing tells real from false ones, a fit seems to tell, but not on cases that it was not fitted to."""
    rng = np.random.default_rng(3)
    seen, unseen = [], []
    for _ in range(40):
        features, real, folds = rng.normal(size=(40, 3)), rng.random(40) < 0.5, np.arange(40) % 5
        held_out = held_out_scores(features, real, folds)
        if held_out is not None:
            unseen.append(roc_auc_score(real, held_out))
            seen.append(roc_auc_score(real, LogisticRegression().fit(features, real).predict_proba(features)[:, 1]))
    assert len(seen) > 30 and np.mean(seen) > 0.6
    assert np.mean(unseen) < 0.53


def test_a_score_that_knows_more_than_the_mean_probability_finds_more_at_as_many_false_ones() -> None:
    scored = fit_scores("lesion", cases_of(200))
    assert scored is not None
    fitted = scored.scores

    def area(points) -> float:
        return float(
            np.mean([max((p.sensitivity for p in points if p.false_per_case <= r), default=0) for r in (0.5, 1)])
        )

    assert area(fitted.froc) > area(fitted.froc_of_mean_probability) + 0.02


def test_too_few_predicted_lesions_get_no_score() -> None:
    few = cases_of(3)
    assert sum(len(case.predicted) for case in few) < LEAST_LESIONS and fit_scores("lesion", few) is None
    assert fit_scores("lesion", []) is None
    only_real = [replace(c, predicted=tuple(one for one in c.predicted if one.touches)) for c in cases_of(60)]
    assert fit_scores("lesion", only_real) is None
    # enough of both kinds, but all false ones in one fold: without it nothing can be fitted
    one_fold = [replace(c, predicted=tuple(x for x in c.predicted if x.touches or c.fold == 0)) for c in cases_of(60)]
    assert fit_scores("lesion", one_fold) is None
