"""The scores by which plans are compared: a hand-made case, and the project's own metrics at one threshold."""

import numpy as np
import pandas as pd
import pytest

from autoseg.image.labels import LabelRegion, Labels
from autoseg.metrics import count_voxels, match_lesions
from autoseg.whole_image.case_probabilities import CaseProbabilities
from benchmarks.lesions.labels import ANATOMY
from benchmarks.lesions.sweep import LARGE_ML, THRESHOLDS, lesion_outputs, probability_of_lesion, score
from benchmarks.lesions.table import best_at, false_at, mean_sensitivity, totals
from tests.example_record import example_geometry, example_record

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


def test_regions_count_as_one_lesion_and_anatomy_as_none() -> None:
    regions = (
        LabelRegion(name="whole", values=(1, 2), value=1),
        LabelRegion(name="core", values=(2,), value=2),
        LabelRegion(name=ANATOMY[0], values=(3,), value=3),
    )
    labels = Labels(values=(0, 1, 2, 3), names=("background", "label 1", "core", ANATOMY[0]), regions=regions)
    geometry = example_geometry((2, 3, 4))
    probabilities = np.random.default_rng(0).random((3, *geometry.shape)).astype(np.float32)
    members = [CaseProbabilities(probabilities, example_record(geometry), overlapping=True)]
    assert lesion_outputs(labels) == [1, 2]
    np.testing.assert_array_equal(probability_of_lesion(members, labels), probabilities[:2].max(axis=0))
    classes = labels.changed(regions=())
    of_classes = np.concatenate([1 - probabilities.sum(axis=0, keepdims=True), probabilities])
    members = [CaseProbabilities(of_classes, example_record(geometry))]
    expected = probabilities[:2].sum(axis=0)
    np.testing.assert_allclose(probability_of_lesion(members, classes), expected, atol=1e-6)


def test_what_is_false_beside_ignored_voxels_is_that_of_the_metrics() -> None:
    reference, probability = made()
    annotated = np.ones(reference.shape, bool)
    annotated[2, 21:28, 22:28] = annotated[3, 2:4, 25] = False
    guess = probability >= np.float32(0.25)
    match = match_lesions(reference & annotated, guess, (1.0, 5.0, 10.0), annotated)
    found = next(s for s in score("a", reference & annotated, probability, VOXEL_ML, annotated) if s.threshold == 0.25)
    assert (found.found, found.false) == (match.found, match.false) == (2, 1)
    assert found.dice == pytest.approx(count_voxels(reference & annotated, guess & annotated).dice)
