import math

import pytest
from pydantic import ValidationError
from scipy.special import expit

from autoseg.run_folder.lesion_scores import LesionScores

SCORES = LesionScores(
    name="lesion",
    lesions=40,
    real=20,
    centre=(0.5, 1.0, -1.0),
    scale=(2.0, 0.5, 1.5),
    weights=(0.8, -0.3, 1.2),
    intercept=0.4,
)


@pytest.mark.parametrize("features", [(0.0, 0.0, 0.0), (3.0, -2.0, 1.0), (0.5, 1.0, -1.0)])
def test_the_score_is_a_logistic_regression(features: tuple[float, float, float]) -> None:
    total = 0.4
    for value, centre, scale, weight in zip(features, SCORES.centre, SCORES.scale, SCORES.weights, strict=True):
        total += weight * (value - centre) / scale
    assert SCORES.of(features) == pytest.approx(expit(total))


def test_it_does_not_overflow() -> None:
    assert SCORES.of((1e9, 0, 0)) == pytest.approx(1) and SCORES.of((-1e9, 0, 0)) == pytest.approx(0)
    assert math.isfinite(SCORES.changed(scale=(1e-6, 1, 1)).of((5, 1, 1)))


@pytest.mark.parametrize(
    "changes",
    [{"scale": (0, 1, 1)}, {"scale": (-1, 1, 1)}, {"weights": (1e300, 0, 0)}, {"intercept": math.nan}, {"real": -1}],
)
def test_numbers_that_make_no_score_are_refused(changes) -> None:
    with pytest.raises(ValidationError):
        SCORES.changed(**changes)
