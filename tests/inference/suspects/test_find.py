"""What is suspected: lesions that are surely there and not annotated, and annotated ones that should be seen."""

from dataclasses import replace

import numpy as np
import pytest

from autoseg.image.geometry import Geometry
from inference.lesion_scores.components import MeasuredLesion
from inference.lesion_scores.fit import CaseLesions, fit_scores
from inference.suspects.find import NOT_ANNOTATED, NOT_SEEN, suspects
from tests.example_record import STRAIGHT

GRID = Geometry((20, 30, 40), (3.0, 1.0, 0.5), (10.0, -20.0, 5.0), STRAIGHT)


def lesion(volume: float, mean: float, *, met: bool = False, looked_at: bool = True) -> MeasuredLesion:
    return MeasuredLesion(9, volume, mean, min(1.0, mean + 0.1), (1.0, 2.0, 3.0), (1,) if met else (), met, looked_at)


def data_set(seed: int = 0) -> list[CaseLesions]:
    """Thirty cases: a large lesion, which is seen, a tiny one, which seldom is, and false ones of low probability."""
    rng = np.random.default_rng(seed)
    cases = []
    for case in range(30):
        annotated, predicted = [], []
        for volume, seen in ((3.0, rng.random() < 0.97), (0.05, rng.random() < 0.2)):
            annotated.append(lesion(volume, 0.8 if seen else 0.05, met=bool(seen)))
            predicted += [lesion(volume, rng.uniform(0.7, 0.95), met=True)] if seen else []
        predicted += [lesion(rng.uniform(0.02, 0.2), rng.uniform(0.5, 0.65)) for _ in range(2)]
        cases.append(CaseLesions(f"case_{case:02}", case % 5, tuple(annotated), tuple(predicted), GRID))
    return cases


def spoilt(cases: list[CaseLesions]) -> tuple[list[CaseLesions], set[tuple[str, str]]]:
    """Five large lesions are left out of the annotation, and five that are not there are added."""
    made, wrong = list(cases), set()
    for i in range(5):
        of_case = cases[i]
        large = [p for p in of_case.predicted if p.volume_ml == 3.0]
        left = tuple(replace(p, met=False, touches=()) if p in large else p for p in of_case.predicted)
        made[i] = replace(of_case, annotated=of_case.annotated[1:], predicted=left)
        if large:
            wrong.add((of_case.case, NOT_ANNOTATED))
    for i in range(10, 15):
        of_case = cases[i]
        added = (*of_case.annotated, lesion(3.0, 0.02))
        made[i] = replace(of_case, annotated=added)
        wrong.add((of_case.case, NOT_SEEN))
    return made, wrong


def test_annotations_that_were_spoilt_come_first() -> None:
    made, wrong = spoilt(data_set())
    found = suspects("lesion", made, fit_scores("lesion", made))
    first = {(one.case, one.kind) for one in found[: len(wrong) + 3]}
    assert len(wrong & first) >= len(wrong) - 1
    assert [one.confidence for one in found] == sorted((one.confidence for one in found), reverse=True)


def test_that_a_tiny_lesion_is_missed_is_not_suspicious() -> None:
    found = suspects("lesion", data_set(), fit_scores("lesion", data_set()))
    tiny = [one.confidence for one in found if one.kind == NOT_SEEN and one.lesion.volume_ml < 1]
    large = [one.confidence for one in found if one.kind == NOT_SEEN and one.lesion.volume_ml > 1]
    assert tiny and max(tiny) < 0.4
    assert all(confidence > 0.8 for confidence in large)


def test_a_lesion_that_lies_where_the_network_did_not_look_is_no_suspect() -> None:
    cases = data_set()
    unseen = replace(cases[0], annotated=(*cases[0].annotated, lesion(3.0, 0.0, looked_at=False)))
    scored = fit_scores("lesion", cases)
    assert suspects("lesion", [unseen, *cases[1:]], scored) == suspects("lesion", cases, scored)


def test_a_lesion_that_only_has_another_class_is_no_suspect() -> None:
    other_class = CaseLesions("a", 0, (lesion(3.0, 0.1, met=True),), (lesion(3.0, 0.9, met=True),), GRID)
    assert suspects("lesion", [other_class], None) == []


def test_the_place_is_in_the_patients_coordinates() -> None:
    (only,) = suspects("lesion", [CaseLesions("a", 0, (), (lesion(1, 0.9),), GRID)], None)
    assert (only.kind, only.confidence) == (NOT_ANNOTATED, pytest.approx(0.9))
    assert only.place_mm == pytest.approx((10 + 3 * 0.5, -20 + 2 * 1.0, 5 + 1 * 3.0))


def test_without_lesions_there_are_no_suspects() -> None:
    assert suspects("lesion", [CaseLesions("a", 0, (), (), GRID)], None) == []
