"""Paired tests against published numbers, enumeration and simulation."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from inference.study.statistics import (
    bootstrap_interval,
    compare_cells,
    comparisons_frame,
    holm,
    rank_biserial,
    wilcoxon_p,
)

# heights of cross- and self-fertilised plants (Darwin 1876; Fisher 1935): differences in eighths of an inch
DARWIN = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], float)


def frame_of(values: dict[str, list[float]], patients: list[str] | None = None) -> pd.DataFrame:
    count = len(next(iter(values.values())))
    names = [f"case {i}" for i in range(count)]
    return pd.DataFrame(
        [
            {"cell": cell, "class": "lesion", "case": name, "patient": patient, "dice": value}
            for cell, of_cell in values.items()
            for name, patient, value in zip(names, patients or names, of_cell, strict=True)
        ]
    )


def test_holm_is_as_worked_out_by_hand():
    # sorted: 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1 which may not fall below the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.02, None, 0.5]) == pytest.approx([0.04, None, 0.5]), "what was not tested is not counted"
    assert holm([]) == []


def test_wilcoxon_is_the_share_of_signs_that_are_as_extreme():
    ranks = np.argsort(np.argsort(np.abs(DARWIN[:10]))) + 1
    observed = abs((ranks * np.sign(DARWIN[:10])).sum())
    sums = [abs((ranks * np.array(signs)).sum()) for signs in product((-1, 1), repeat=10)]
    assert len(set(np.abs(DARWIN[:10]))) == 10, "without ties"
    assert wilcoxon_p(DARWIN[:10]) == pytest.approx(np.mean([s >= observed for s in sums]))
    assert wilcoxon_p(np.zeros(5)) == 1
    assert wilcoxon_p(np.zeros(0)) is None


def test_effect_size_is_the_share_of_ranks_in_favour_minus_that_against():
    # Darwin's plants: the two ranks against are 10 and 14, of 120 in all
    assert rank_biserial(DARWIN) == pytest.approx((96 - 24) / 120)
    assert rank_biserial(np.array([0.1, 0.2, 0.3])) == 1
    assert rank_biserial(np.array([-0.1, -0.2])) == -1
    assert rank_biserial(np.array([0.0, 0.1, 0.0])) == 1, "ties are left out"
    assert rank_biserial(np.zeros(3)) == 0 and rank_biserial(np.zeros(0)) is None


def test_the_interval_covers_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for i in range(60):
        low, high = bootstrap_interval(rng.normal(0.1, 0.3, 40), seed=i)
        covered += low <= 0.1 <= high
    assert 50 <= covered <= 60


def test_intervals_without_spread_or_without_cases():
    assert bootstrap_interval(np.array([0.25, 0.25, 0.25]), 0) == (0.25, 0.25)
    assert bootstrap_interval(np.array([0.3]), 0) == (None, None)
    low, high = bootstrap_interval(np.array([0.0] * 9 + [1.0]), 0)
    assert 0 <= low < 0.1 < high <= 1


def test_every_pair_of_cells_over_the_cases_of_both():
    nan = float("nan")
    frame = frame_of({"a": [0.9, 0.8, 0.7, 0.6], "b": [0.8, 0.6, 0.4, nan], "c": [nan, 0.8, 0.7, 0.9]})
    ab, ac, bc = compare_cells(frame)
    assert [(c.a, c.b) for c in (ab, ac, bc)] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert (ab.cases, ac.cases, bc.cases) == (3, 3, 2)
    assert (ab.mean_a, ab.mean_b, ab.difference) == pytest.approx((0.8, 0.6, 0.2))
    assert 0.1 - 1e-9 <= ab.low <= 0.2 <= ab.high <= 0.3 + 1e-9
    assert ab.p == pytest.approx(2 / 8) and ab.effect == 1
    assert ac.difference == pytest.approx(-0.1) and ac.effect == -1
    assert ab.p_holm == pytest.approx(3 * min(ab.p, ac.p, bc.p))
    assert list(comparisons_frame([ab])["class"]) == ["lesion"]


def test_a_patient_with_several_cases_counts_once():
    frame = frame_of({"a": [0.9, 0.7, 0.5], "b": [0.5, 0.5, 0.4]}, ["anna", "anna", "ben"])
    (pair,) = compare_cells(frame)
    assert (pair.cases, pair.patients) == (3, 2)
    assert pair.difference == pytest.approx((0.3 + 0.1) / 2)


def test_cells_without_a_case_in_common_have_no_difference():
    nan = float("nan")
    (pair,) = compare_cells(frame_of({"a": [0.9, nan], "b": [nan, 0.8]}))
    assert pair.cases == 0
    assert {pair.mean_a, pair.difference, pair.low, pair.effect, pair.p, pair.p_holm} == {None}


def test_the_same_seed_gives_the_same_intervals():
    rng = np.random.default_rng(0)
    frame = frame_of({"a": rng.random(12).tolist(), "b": rng.random(12).tolist()})
    assert compare_cells(frame, seed=3) == compare_cells(frame, seed=3)
