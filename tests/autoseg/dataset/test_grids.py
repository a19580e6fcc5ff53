"""Overlap of boxes against a dense lattice of points."""

import numpy as np
import pytest

from autoseg.dataset.grids import covered_share, difference, overlap
from autoseg.image.geometry import Geometry
from tests.example_record import STRAIGHT


def turned(rng: np.random.Generator) -> tuple[tuple[float, ...], ...]:
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return tuple(tuple(float(v) for v in row) for row in q)


@pytest.mark.parametrize("seed", range(60))
def test_overlap_as_a_lattice_of_points_tells(seed):
    rng = np.random.default_rng(seed)
    a = Geometry((4, 9, 20), (3.0, 1.0, 0.5), (0.0, 0.0, 0.0), turned(rng))
    b = Geometry((12, 5, 6), (0.7, 2.0, 1.0), tuple(rng.normal(0, 9, 3).tolist()), turned(rng))
    share = covered_share(a, b, points_per_axis=60)
    if share > 0:
        assert overlap(a, b) and overlap(b, a)
    else:
        # a corner may lie between the points: then a box half a point larger meets it
        grown = Geometry((12, 5, 6), (0.65, 1.9, 0.95), b.to_world(np.array([0.4, 0.12, 0.15])), b.direction)
        assert not overlap(a, grown) or overlap(a, b)
    assert overlap(a, b) == overlap(b, a)


def test_both_outcomes_occur():
    outcomes = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        a = Geometry((4, 9, 20), (3.0, 1.0, 0.5), (0.0, 0.0, 0.0), turned(rng))
        b = Geometry((12, 5, 6), (0.7, 2.0, 1.0), tuple(rng.normal(0, 9, 3).tolist()), turned(rng))
        outcomes.add(overlap(a, b))
    assert outcomes == {True, False}


def test_touching_boxes_share_nothing():
    a = Geometry((2, 2, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), STRAIGHT)
    assert not overlap(a, Geometry((2, 2, 2), (1.0, 1.0, 1.0), (2.0, 0.0, 0.0), STRAIGHT))
    assert overlap(a, Geometry((2, 2, 2), (1.0, 1.0, 1.0), (1.9, 0.0, 0.0), STRAIGHT))


def test_covered_share_of_a_shifted_box():
    a = Geometry((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), STRAIGHT)
    b = Geometry((4, 4, 4), (1.0, 1.0, 1.0), (2.0, 0.0, 1.0), STRAIGHT)
    assert covered_share(a, b) == pytest.approx(0.5 * 0.75)


def test_difference_tells_what_differs():
    a = Geometry((4, 5, 6), (3.0, 1.0, 1.0), (0.0, 0.0, 0.0), STRAIGHT)
    assert "4 × 5 × 6 against 4 × 5 × 7" in difference(a, Geometry((4, 5, 7), a.spacing, a.origin, STRAIGHT))
    text = difference(a, Geometry((4, 5, 6), (3.5, 1.0, 1.0), a.origin, STRAIGHT))
    assert "1.5 mm" in text and "spacing 3 × 1 × 1 against 3.5 × 1 × 1" in text
