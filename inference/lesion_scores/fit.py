"""Fits the score of predicted lesions to out-of-fold predictions, and judges it on folds that took no part in the fit.

In: the predicted lesions of every case, and which lesions of the reference they touch. Out: `LesionScores`. A logistic
regression with a weak penalty is calibrated where its features tell what there is to tell, and has four numbers that a
person can read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import Geometry
from autoseg.run_folder.lesion_scores import LesionScores, ReliabilityBin
from inference.lesion_scores.components import MeasuredLesion
from inference.lesion_scores.froc import froc

if TYPE_CHECKING:
    # it takes seconds to load, and is loaded where a score is fitted
    from sklearn.linear_model import LogisticRegression

LEAST_LESIONS, LEAST_OF_EACH = 20, 5
"""Fewer predicted lesions, or fewer real or false ones among them, get no score: it would be guessed."""

BINS = 5


@dataclass(frozen=True)
class CaseLesions:
    """The predicted lesions of a class in one case.

    Args:
        case: name of the case.
        fold: fold in which it was validated.
        annotated: lesions of the reference, in the order of their numbers from 1.
        predicted: predicted lesions, with those of the reference that they touch.
        grid: geometry of the reoriented image, in whose voxels places are given.
    """

    case: str
    fold: int
    annotated: tuple[MeasuredLesion, ...]
    predicted: tuple[MeasuredLesion, ...]
    grid: Geometry


@dataclass(frozen=True)
class _Regression:
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    model: LogisticRegression

    def of(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self.model.predict_proba((features - self.centre) / self.scale)[:, 1])


@dataclass(frozen=True)
class Scored:
    """The score of a class, and that of each predicted lesion.

    Args:
        scores: how predicted lesions are scored.
        held_out: score of each predicted lesion, case by case, by a fit without the case's fold.
    """

    scores: LesionScores
    held_out: tuple[float, ...]


def fit_scores(
    name: str, cases: Sequence[CaseLesions], configurations: Sequence[str] = (), rule: str = "none"
) -> Scored | None:
    """Fit the score of a class; None where there are too few predicted lesions to fit and judge it.

    Args:
        name: name of the class.
        cases: predicted lesions of every case, out of fold.
        configurations: names of the configurations that predicted the cases together.
        rule: post-processing of the class that the cases were predicted with, in words.
    """
    predicted = [(case, lesion) for case in cases for lesion in case.predicted]
    features = np.array([lesion.features for _, lesion in predicted]).reshape(-1, 3)
    real = np.array([bool(lesion.touches) for _, lesion in predicted], dtype=bool)
    folds = np.array([case.fold for case, _ in predicted])
    if not _enough(real):
        return None
    held_out = held_out_scores(features, real, folds)
    if held_out is None:
        return None
    fitted = _fit(features, real)
    touched = [[(case.case, number) for number in lesion.touches] for case, lesion in predicted]
    lesions, count = sum(len(case.annotated) for case in cases), len(cases)
    bins = reliability(held_out, real)
    mean_probability = [lesion.mean_probability for _, lesion in predicted]
    scores = LesionScores(
        name=name,
        configurations=tuple(configurations),
        rule=rule,
        lesions=len(real),
        real=int(real.sum()),
        centre=_triple(fitted.centre),
        scale=_triple(fitted.scale),
        weights=_triple(fitted.model.coef_[0]),
        intercept=float(fitted.model.intercept_[0]),
        reliability=bins,
        calibration_error=calibration_error(bins),
        froc=froc(held_out.tolist(), touched, lesions, count),
        froc_of_mean_probability=froc(mean_probability, touched, lesions, count),
    )
    return Scored(scores, tuple(held_out.tolist()))


def reliability(scores: NDArray[np.float64], real: NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    """Bins of equal width, from 0 to 1.

    Args:
        scores: score of each predicted lesion.
        real: whether it touches a lesion of the reference.
    """
    which = np.minimum((scores * BINS).astype(int), BINS - 1)
    return tuple(
        ReliabilityBin(
            lower=i / BINS,
            upper=(i + 1) / BINS,
            n=int((which == i).sum()),
            score=float(scores[which == i].mean()) if (which == i).any() else None,
            real=float(real[which == i].mean()) if (which == i).any() else None,
        )
        for i in range(BINS)
    )


def calibration_error(bins: Sequence[ReliabilityBin]) -> float | None:
    """Mean difference of score and share of real ones, weighted by the number in each bin; None where all are empty."""
    filled = [(one.n, abs(one.score - one.real)) for one in bins if one.score is not None and one.real is not None]
    total = sum(n for n, _ in filled)
    return sum(n * difference for n, difference in filled) / total if total else None


def held_out_scores(
    features: NDArray[np.float64], real: NDArray[np.bool_], folds: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Score of each lesion by a fit to the other folds; None where one of these has too few to fit.

    Args:
        features: numbers that the fit rests on, one row for each lesion and one column for each feature.
        real: (lesion,) what the score is the probability of.
        folds: (lesion,) fold of the lesion's case.
    """
    scores = np.empty(len(real))
    for fold in np.unique(folds):
        others = folds != fold
        if not _enough(real[others]):
            return None
        scores[~others] = _fit(features[others], real[others]).of(features[~others])
    return scores


def _fit(features: NDArray[np.float64], real: NDArray[np.bool_]) -> _Regression:
    from sklearn.linear_model import LogisticRegression

    centre, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    model = LogisticRegression(C=1.0, max_iter=1000).fit((features - centre) / scale, real)
    return _Regression(centre, scale, model)


def _enough(real: NDArray[np.bool_]) -> bool:
    return len(real) >= LEAST_LESIONS and min(real.sum(), (~real).sum()) >= LEAST_OF_EACH


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
