"""Finds suspected errors of the annotation: where the network is sure and the reference says otherwise.

In: the lesions of every case, annotated and predicted out of fold. Out: `Suspect`s, the most suspicious first. A
predicted lesion that no annotation touches is suspicious by its score, which was fitted without its fold. An annotated
lesion that the network does not see is suspicious by the share of lesions of its size that are seen, fitted in the same
way: that a tiny one is missed says nothing. A lesion that only has another class is neither. This is the idea of
confident learning (Northcutt et al., arXiv:1911.00068), lesion by lesion.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from inference.lesion_scores.components import MeasuredLesion
from inference.lesion_scores.fit import CaseLesions, Scored, held_out_scores

Kind = Literal["not annotated", "not seen"]
NOT_ANNOTATED: Kind = "not annotated"
NOT_SEEN: Kind = "not seen"


@dataclass(frozen=True)
class Suspect:
    """A lesion that is annotated and not seen, or predicted and not annotated.

    Args:
        case: name of the case.
        class_name: name of the class.
        kind: what is wrong, if the network is right.
        confidence: how sure the network is, from 0 to 1.
        lesion: the annotated or the predicted lesion, with its size.
        place_mm: its centre (x, y, z) in the patient's coordinates (LPS).
    """

    case: str
    class_name: str
    kind: Kind
    confidence: float
    lesion: MeasuredLesion
    place_mm: tuple[float, float, float]


def suspects(name: str, cases: Sequence[CaseLesions], scored: Scored | None) -> list[Suspect]:
    """Suspects of a class, the most suspicious first.

    Args:
        name: name of the class.
        cases: annotated and predicted lesions of every case.
        scored: scores of the predicted lesions; None = their mean probability stands for the score.
    """
    found = [*_not_annotated(name, cases, scored), *_not_seen(name, cases)]
    return sorted(found, key=lambda one: (-one.confidence, one.case))


def _not_annotated(name: str, cases: Sequence[CaseLesions], scored: Scored | None) -> Iterator[Suspect]:
    predicted = [(case, lesion) for case in cases for lesion in case.predicted]
    scores = scored.held_out if scored is not None else [lesion.mean_probability for _, lesion in predicted]
    for (case, lesion), score in zip(predicted, scores, strict=True):
        if not lesion.met:
            yield _suspect(case, name, NOT_ANNOTATED, float(score), lesion)


def _not_seen(name: str, cases: Sequence[CaseLesions]) -> Iterator[Suspect]:
    # where the network did not look, outside of the plan's region, it is sure of nothing
    annotated = [(case, lesion) for case in cases for lesion in case.annotated if lesion.looked_at]
    seen = np.array([lesion.met for _, lesion in annotated], dtype=bool)
    sizes = np.array([[np.log(lesion.volume_ml)] for _, lesion in annotated]).reshape(-1, 1)
    expected = held_out_scores(sizes, seen, np.array([case.fold for case, _ in annotated]))
    if expected is None:
        # too few to tell how likely a lesion of this size is seen: all alike
        expected = np.full(len(annotated), seen.mean() if len(annotated) else 0.0)
    for (case, lesion), is_seen, likely in zip(annotated, seen, expected, strict=True):
        if not is_seen:
            yield _suspect(case, name, NOT_SEEN, float(likely) * (1 - lesion.largest_probability), lesion)


def _suspect(case: CaseLesions, name: str, kind: Kind, confidence: float, lesion: MeasuredLesion) -> Suspect:
    x, y, z = case.grid.to_world(np.asarray(lesion.centre)).tolist()
    return Suspect(case.case, name, kind, confidence, lesion, (x, y, z))
