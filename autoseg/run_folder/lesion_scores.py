"""The score of a predicted lesion, as `selected.json` keeps it: how it is computed, and how far it can be trusted."""

from __future__ import annotations

import math
from typing import Annotated, TypeAlias

from pydantic import Field

from autoseg.files import FileModel

Number: TypeAlias = Annotated[float, Field(ge=-1e6, le=1e6)]
Scale: TypeAlias = Annotated[float, Field(ge=1e-6, le=1e6)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class ReliabilityBin(FileModel):
    """Predicted lesions of about the same score.

    Args:
        lower, upper: limits of the score; the lower one is included.
        n: number of predicted lesions.
        score: mean score of these; None where there are none.
        real: share of these that touch a lesion of the reference; None where there are none.
    """

    lower: Share
    upper: Share
    n: int = Field(ge=0)
    score: Share | None
    real: Share | None


class FrocPoint(FileModel):
    """A point of a FROC curve.

    Args:
        false_per_case: false predicted lesions per case.
        sensitivity: share of the reference's lesions that are found.
    """

    false_per_case: float = Field(ge=0, le=1e9)
    sensitivity: Share


class LesionScores(FileModel):
    """How the predicted lesions of a class are scored.

    The score is a logistic regression on three features of a predicted lesion: the logits of its mean and of its
    largest probability, and the logarithm of its volume in ml. It estimates the probability that the predicted lesion
    touches a real one.

    Args:
        name: name of the class.
        configurations: names of the configurations that predicted what it was fitted to.
        rule: post-processing of the class that it was fitted with, in words.
        lesions: number of predicted lesions, out of fold, that it was fitted to.
        real: number of these that touch a lesion of the reference.
        centre, scale: what is subtracted from each feature, and what it is then divided by.
        weights, intercept: a weight for each feature, and what is added to their sum before the logistic function.
        reliability: bins of scores that were fitted for each fold to the predicted lesions of the other folds.
        calibration_error: mean difference of score and share of real ones over these bins, weighted by their number
            (expected calibration error; Guo et al., ICML 2017).
        froc: FROC by the score that was fitted without the case's fold.
        froc_of_mean_probability: FROC of the same predicted lesions by their mean probability.
    """

    name: str
    configurations: tuple[str, ...] = ()
    rule: str = "none"
    lesions: int = Field(ge=0)
    real: int = Field(ge=0)
    centre: tuple[Number, Number, Number]
    scale: tuple[Scale, Scale, Scale]
    weights: tuple[Number, Number, Number]
    intercept: Number
    reliability: tuple[ReliabilityBin, ...] = ()
    calibration_error: Share | None = None
    froc: tuple[FrocPoint, ...] = ()
    froc_of_mean_probability: tuple[FrocPoint, ...] = ()

    def of(self, features: tuple[float, float, float]) -> float:
        """Score of a predicted lesion, from 0 to 1.

        Args:
            features: logits of its mean and its largest probability, logarithm of its volume in ml.
        """
        parts = zip(features, self.centre, self.scale, self.weights, strict=True)
        total = self.intercept + sum(weight * (value - centre) / scale for value, centre, scale, weight in parts)
        # beyond this exp overflows, and the score is 0 or 1 anyway
        return 1 / (1 + math.exp(-max(-500.0, min(500.0, total))))
