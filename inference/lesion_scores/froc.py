"""FROC: the share of lesions that is found against false ones a case, as predicted lesions are left out by their score.

After Bunch et al., SPIE 1977. A lesion is found while some predicted lesion that touches it is kept.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from autoseg.run_folder.lesion_scores import FrocPoint

RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False ones a case at which sensitivity is told, as in LUNA16."""


def froc(
    scores: Sequence[float], touched: Sequence[Sequence[Hashable]], lesions: int, cases: int
) -> tuple[FrocPoint, ...]:
    """The curve, a point for each score that occurs, from the highest score on.

    Args:
        scores: score of each predicted lesion.
        touched: lesions that each predicted lesion touches, by names that are unique over all cases.
        lesions: number of lesions of all references.
        cases: number of all cases, also of those without a predicted lesion.
    """
    points, found, false = list[FrocPoint](), set[Hashable](), 0
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable").tolist()
    for place, i in enumerate(order):
        found.update(touched[i])
        false += not touched[i]
        # predicted lesions of one score are kept or left out together
        if place + 1 == len(order) or scores[order[place + 1]] < scores[i]:
            points.append(FrocPoint(false_per_case=false / cases, sensitivity=len(found) / max(lesions, 1)))
    return tuple(points)


def sensitivity_at(points: Sequence[FrocPoint], false_per_case: float) -> float | None:
    """The largest sensitivity with at most so many false ones a case; None where no point has so few."""
    return max((p.sensitivity for p in points if p.false_per_case <= false_per_case + 1e-12), default=None)
