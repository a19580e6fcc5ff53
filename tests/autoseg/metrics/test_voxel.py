"""Voxel metrics against hand counts and SimpleITK's LabelOverlapMeasures."""

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.image.labels import LabelRegion, Labels
from autoseg.metrics import Counts, case_metrics, count_voxels

LABELS = Labels(values=(0, 200, 500, 600), names=("background", "body", "disc", "cord"))


def random_labels(seed: int, shape: tuple[int, int, int] = (9, 14, 11)) -> np.ndarray:
    return np.random.default_rng(seed).choice(LABELS.values, size=shape, p=(0.5, 0.2, 0.2, 0.1)).astype(np.int16)


def test_hand_counted_example() -> None:
    reference = np.array([[[1, 1, 1, 0, 0, 0]]], bool)
    prediction = np.array([[[0, 1, 1, 1, 1, 0]]], bool)
    counts = count_voxels(reference, prediction)
    assert counts == Counts(tp=2, fp=2, fn=1, tn=1)
    assert counts.dice == pytest.approx(4 / 7)
    assert counts.sensitivity == pytest.approx(2 / 3)
    assert counts.specificity == pytest.approx(1 / 3)
    assert counts.precision == pytest.approx(2 / 4)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_simpleitk_on_random_label_maps(seed: int) -> None:
    reference, prediction = random_labels(seed), random_labels(seed + 100)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(sitk.GetImageFromArray(prediction), sitk.GetImageFromArray(reference))
    rows = case_metrics("a", reference, prediction, (3.0, 1.0, 0.5), LABELS, surfaces=False)
    assert [row.class_name for row in rows] == ["body", "disc", "cord"]
    for row, value in zip(rows, LABELS.values[1:], strict=True):
        assert row.dice == pytest.approx(overlap.GetDiceCoefficient(value), abs=1e-12)
        assert row.sensitivity == pytest.approx(1 - overlap.GetFalseNegativeError(value), abs=1e-12)
        assert row.specificity == pytest.approx(1 - overlap.GetFalsePositiveError(value), abs=1e-12)
        assert row.precision == pytest.approx(1 - overlap.GetFalseDiscoveryRate(value), abs=1e-12)


def test_counts_cover_the_whole_image_and_volumes_are_in_ml() -> None:
    reference, prediction = np.zeros((10, 10, 10), np.int16), np.zeros((10, 10, 10), np.int16)
    reference[2:4, 2:4, 2:4] = 500
    prediction[2:4, 2:4, 2:7] = 500
    disc = case_metrics("a", reference, prediction, (5.0, 2.0, 1.0), LABELS, surfaces=False)[1]
    assert disc.counts == Counts(tp=8, fp=12, fn=0, tn=980)
    assert disc.reference_ml == pytest.approx(0.08)
    assert disc.prediction_ml == pytest.approx(0.2)
    assert disc.volume_error_ml == pytest.approx(0.12)
    assert disc.volume_error_relative == pytest.approx(1.5)


def test_empty_masks_are_defined() -> None:
    nothing, something = np.zeros((4, 4, 4), bool), np.ones((4, 4, 4), bool)
    both = count_voxels(nothing, nothing)
    assert (both.dice, both.sensitivity, both.precision, both.specificity) == (None, None, None, 1.0)
    false_positives = count_voxels(nothing, something)
    assert (false_positives.dice, false_positives.sensitivity, false_positives.precision) == (0.0, None, 0.0)
    missed = count_voxels(something, nothing)
    assert (missed.dice, missed.sensitivity, missed.precision) == (0.0, 0.0, None)
    assert missed.specificity is None


def test_regions_and_ignored_voxels_by_hand() -> None:
    regions = (
        LabelRegion(name="any", values=(200, 500, 600), value=200),
        LabelRegion(name="cord", values=(600,), value=600),
    )
    labels = LABELS.changed(regions=regions, ignore=900)
    reference = np.array([[[200, 500, 600, 0, 0, 900, 900, 900]]], np.int16)
    prediction = np.array([[[200, 600, 600, 600, 0, 600, 200, 0]]], np.int16)
    whole, cord = case_metrics("a", reference, prediction, (1.0, 1.0, 1.0), labels, surfaces=False)
    assert (whole.class_name, whole.counts) == ("any", Counts(tp=3, fp=1, fn=0, tn=1))
    assert (cord.class_name, cord.counts) == ("cord", Counts(tp=1, fp=2, fn=0, tn=2))
    # the one predicted component ends where ignored voxels begin
    assert whole.lesions.predicted == 1 and whole.lesions.false == 0
