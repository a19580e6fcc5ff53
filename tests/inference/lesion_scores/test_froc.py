import numpy as np
import pytest
from monai.metrics import compute_froc_curve_data

from inference.lesion_scores.froc import froc, sensitivity_at


def test_a_curve_by_hand() -> None:
    scores = [0.9, 0.8, 0.8, 0.5, 0.2]
    touched = [["a"], [], ["b"], ["a", "c"], []]
    points = froc(scores, touched, lesions=4, cases=2)
    # lesion d is never found, and the two of 0.8 are kept or left out together
    assert [(p.false_per_case, p.sensitivity) for p in points] == [(0, 0.25), (0.5, 0.5), (0.5, 0.75), (1, 0.75)]
    assert [sensitivity_at(points, rate) for rate in (0, 0.25, 0.5, 8)] == [0.25, 0.25, 0.75, 0.75]


def test_nothing_predicted_and_nothing_to_find() -> None:
    assert froc([], [], lesions=3, cases=2) == ()
    assert sensitivity_at((), 1.0) is None
    (only,) = froc([0.5], [[]], lesions=0, cases=4)
    assert (only.false_per_case, only.sensitivity) == (0.25, 0)


def test_it_agrees_with_monai() -> None:
    """MONAI's takes the highest probability of each lesion that is found, and those of all false ones."""
    rng = np.random.default_rng(0)
    cases, in_case = 12, 3
    false, true = [], []
    scores, touched = [], []
    for case in range(cases):
        for lesion in range(in_case):
            if rng.random() < 0.8:
                score = rng.beta(4, 2)
                true.append(score)
                scores.append(score)
                touched.append([(case, lesion)])
        for score in rng.beta(2, 3, rng.integers(0, 6)):
            false.append(score)
            scores.append(score)
            touched.append([])
    curve = compute_froc_curve_data(np.array(false), np.array(true), cases * in_case, cases)
    points = froc(scores, touched, cases * in_case, cases)
    rates = sorted({p.false_per_case for p in points})
    ours = [sensitivity_at(points, rate) for rate in rates]
    expected = [max(s for f, s in zip(*curve, strict=True) if f <= rate + 1e-9) for rate in rates]
    assert ours == pytest.approx(expected)
