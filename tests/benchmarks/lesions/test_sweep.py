"""The scores by which plans are compared: a hand-made case, and the project's own metrics at one threshold."""

import numpy as np
import pandas as pd
import pytest

from autoseg.metrics import count_voxels, match_lesions
from benchmarks.lesions.sweep import LARGE_ML, THRESHOLDS, score
from benchmarks.lesions.table import best_at, false_at, mean_sensitivity, totals

VOXEL_ML = 0.05


def made() -> tuple[np.ndarray, np.ndarray]:
    """Two lesions of 20 and 4 voxels: the first is found, the second touched by a blob; and a false one."""
    reference, probability = np.zeros((4, 30, 30), bool), np.zeros((4, 30, 30), np.float32)
    reference[0, 2:6, 2:7] = True
    reference[2, 20:22, 20:22] = True
    probability[0, 2:6, 2:7] = 0.9
    probability[2, 21:28, 21:28] = 0.6
    probability[3, 2:4, 25:27] = 0.3
    return reference, probability


def scores() -> pd.DataFrame:
    return pd.DataFrame(score("a", *made(), VOXEL_ML)).set_index(["threshold", "smallest_ml"])


def test_a_blob_touches_a_lesion_without_overlapping_with_it() -> None:
    at = scores().loc[(0.5, 0.0)]
    assert (at["lesions"], at["large"]) == (2, 1) and 20 * VOXEL_ML >= LARGE_ML
    assert (at["found"], at["found_large"], at["overlapped"], at["false"]) == (2, 1, 1, 0)
    assert at["dice"] == pytest.approx(2 * 21 / (24 + 69))


def test_a_lower_threshold_adds_what_is_false_and_a_size_removes_it() -> None:
    table = scores()
    assert table.loc[(0.25, 0.0), "false"] == 1
    assert table.loc[(0.25, 0.5), "false"] == 0
    assert table.loc[(0.7, 0.0), "found"] == 1


@pytest.mark.parametrize("threshold", THRESHOLDS[::4])
def test_it_agrees_with_the_metrics_of_a_run(threshold: float) -> None:
    rng = np.random.default_rng(3)
    smooth = rng.random((8, 12, 12)).repeat(2, axis=0).repeat(3, axis=1).repeat(3, axis=2).astype(np.float32)
    reference = np.roll(smooth, 2, axis=1) > 0.85
    match = match_lesions(reference, smooth >= np.float32(threshold), (1.0, 5.0, 10.0))
    found = next(s for s in score("b", reference, smooth, VOXEL_ML) if (s.threshold, s.smallest_ml) == (threshold, 0))
    assert (found.found, found.lesions, found.false) == (match.found, len(match.lesions), match.false)
    assert found.dice == pytest.approx(count_voxels(reference, smooth >= np.float32(threshold)).dice)


def test_the_frontier_is_read_from_all_points() -> None:
    points = totals(scores().reset_index())
    assert best_at(points, 0.0, "found") == 2
    assert false_at(points, 1.0) == 0.0
    assert false_at(points, 1.0, "overlapped") is None
    assert mean_sensitivity(points) == 0.5
