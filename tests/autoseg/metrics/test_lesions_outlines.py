"""How well lesions are outlined: panoptic quality and Dice by region, against other implementations and by hand."""

import json
import subprocess
from pathlib import Path

import cc3d
import numpy as np
import pytest
import torch
from monai.metrics import compute_panoptic_quality
from scipy import ndimage

from autoseg.image.labels import Labels
from autoseg.metrics import case_metrics, match_lesions
from autoseg.metrics.aggregate import lesion_summary
from autoseg.metrics.summary import LesionSummary
from tests import second_opinions

CUBE = np.ones((3, 3, 3))
ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-second-opinions/bin/python"


def masks(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A reference and a prediction of blobs that overlap more or less."""
    random = np.random.default_rng(seed)
    truth, other = (ndimage.gaussian_filter(random.standard_normal((24, 32, 40)), 2.2) for _ in range(2))
    guess = truth + 0.4 * other
    return truth > np.quantile(truth, 0.95), guess > np.quantile(guess, 0.95)


def summary_of(*pairs: tuple[np.ndarray, np.ndarray], spacing: tuple[float, float, float] = (1, 1, 1)) -> LesionSummary:
    labels = Labels(values=(0, 1), names=("background", "lesion"))
    rows = [
        row
        for i, (truth, guess) in enumerate(pairs)
        for row in case_metrics(str(i), truth.astype(int), guess.astype(int), spacing, labels, surfaces=False)
    ]
    return lesion_summary(rows)


def test_panoptic_quality_by_hand() -> None:
    truth, guess = np.zeros((1, 8, 30), bool), np.zeros((1, 8, 30), bool)
    truth[0, 1:3, 1:6] = True  # 10 voxels
    guess[0, 1:3, 2:6] = True  # 8 of them: IoU 0.8, the same lesion
    truth[0, 5:7, 10:15] = True  # 10 voxels
    guess[0, 5:7, 14:19] = True  # touches it in 2: IoU 2 / 18, found but not the same
    truth[0, 1, 25] = True  # missed
    guess[0, 6, 25] = True  # false
    found = summary_of((truth, guess))
    assert found.recognition_quality == pytest.approx(2 * 1 / (3 + 3))
    assert found.segmentation_quality == pytest.approx(0.8)
    assert found.panoptic_quality == pytest.approx(0.8 / 3)
    touched, overlapping = 2 * 2 / 20, 2 * 8 / 18
    assert found.dice_of_found == pytest.approx((touched + overlapping) / 2)
    assert found.dice_of_all == pytest.approx((touched + overlapping) / 3)


def test_an_overlap_of_half_is_not_the_same_lesion() -> None:
    truth, guess = np.zeros((1, 1, 9), bool), np.zeros((1, 1, 9), bool)
    truth[0, 0, 0:4], guess[0, 0, 2:4] = True, True
    assert match_lesions(truth, guess, (1, 1, 1)).lesions[0].iou == 0.5
    assert summary_of((truth, guess)).panoptic_quality == 0


@pytest.mark.parametrize("seed", range(3))
def test_panoptic_quality_agrees_with_monai(seed: int) -> None:
    truth, guess = masks(seed)
    found = summary_of((truth, guess))
    numbered = [torch.from_numpy(ndimage.label(mask, CUBE)[0].astype(np.int64)) for mask in (guess, truth)]
    expected = [float(compute_panoptic_quality(*numbered, metric_name=name)) for name in ("pq", "sq", "rq")]
    ours = [found.panoptic_quality, found.segmentation_quality, found.recognition_quality]
    assert ours == pytest.approx(expected, abs=1e-6)


def test_panoptic_quality_agrees_with_panoptica(tmp_path: Path) -> None:
    if not PYTHON.exists():
        pytest.skip("panoptica is not installed; .ci/install-second-opinions does it")
    pairs = [masks(seed) for seed in range(3)]
    arrays = {
        f"{i}_{what}": mask
        for i, pair in enumerate(pairs)
        for what, mask in zip(("reference", "prediction"), pair, strict=True)
    }
    np.savez(tmp_path / "masks.npz", names=[str(i) for i in range(3)], **arrays)
    program = Path(second_opinions.__file__).with_name("panoptica_quality.py")
    command = [PYTHON, program, tmp_path / "masks.npz", tmp_path / "found.json"]
    subprocess.run(command, check=True, capture_output=True)
    for pair, expected in zip(pairs, json.loads((tmp_path / "found.json").read_text()), strict=True):
        found = summary_of(pair)
        assert found.panoptic_quality == pytest.approx(expected["pq"])
        assert found.segmentation_quality == pytest.approx(expected["sq"])
        assert found.recognition_quality == pytest.approx(expected["rq"])
        same = sum(lesion.matched for lesion in match_lesions(*pair, (1, 1, 1)).lesions)
        assert (same, found.predicted - same, found.reference - same) == tuple(expected[k] for k in ("tp", "fp", "fn"))


def test_each_false_voxel_counts_against_the_nearest_lesion_by_hand() -> None:
    truth, guess = np.zeros((1, 1, 20), bool), np.zeros((1, 1, 20), bool)
    truth[0, 0, 2:6] = truth[0, 0, 12:14] = True
    guess[0, 0, 2:6] = True
    guess[0, 0, 7:9] = True  # 2 and 3 from the first lesion, 5 and 4 from the second
    guess[0, 0, 18] = True  # nearer to the second, which is missed
    first, second = match_lesions(truth, guess, (1, 1, 1)).lesions
    assert first.region_dice == pytest.approx(2 * 4 / (4 + 6))
    assert second.region_dice == 0
    assert summary_of((truth, guess)).region_dice == pytest.approx(0.4)


@pytest.mark.parametrize(("seed", "spacing"), [(0, (1.0, 1.0, 1.0)), (1, (6.0, 0.7, 0.7))])
def test_regions_agree_with_scipys_distance_transform(seed: int, spacing: tuple[float, float, float]) -> None:
    truth, guess = masks(seed)
    # the lesions of a match are in the order of cc3d's numbers
    lesions, count = cc3d.connected_components(truth, connectivity=26, return_N=True)
    distances = np.stack([ndimage.distance_transform_edt(lesions != i, sampling=spacing) for i in range(1, count + 1)])
    nearest = distances.min(axis=0)
    alike = np.count_nonzero(distances == nearest, axis=0) > 1
    match = match_lesions(truth, guess, spacing)
    assert len(match.lesions) == count > 5
    for i, found in enumerate(match.lesions, start=1):
        lesion, mine = lesions == i, distances[i - 1] == nearest
        both = 2 * np.count_nonzero(lesion & guess)
        # a voxel as near to two lesions may count against either
        low, high = (both / (np.count_nonzero(lesion) + np.count_nonzero(guess & m)) for m in (mine, mine & ~alike))
        assert low - 1e-9 <= found.region_dice <= high + 1e-9


def test_cases_without_lesions_enter_no_mean_of_lesions() -> None:
    empty = np.zeros((1, 1, 9), bool)
    false = empty.copy()
    false[0, 0, 3] = True
    nothing = summary_of((empty, empty))
    assert nothing.panoptic_quality is None and nothing.region_dice is None and nothing.dice_of_all is None
    only_false = summary_of((empty, false))
    assert only_false.panoptic_quality == 0 and only_false.region_dice is None
    perfect = summary_of((false, false), (empty, empty))
    assert (perfect.panoptic_quality, perfect.region_dice, perfect.dice_of_all) == (1, 1, 1)


def test_lesions_are_counted_by_volume_with_the_cut_at_one_ml() -> None:
    truth, guess = np.zeros((1, 30, 60), bool), np.zeros((1, 30, 60), bool)
    truth[0, 1:11, 1:11] = True  # 100 voxels of 10 mm³: 1 ml, the first of the larger ones
    truth[0, 15:24, 1:12] = True  # 99 voxels: below
    truth[0, 15:24, 20:45] = True
    guess[0, 15:24, 1:12] = True
    found = summary_of((truth, guess), spacing=(10, 1, 1))
    assert [(b.lower_ml, b.upper_ml, b.reference, b.found) for b in found.by_volume] == [(0, 1, 1, 1), (1, None, 2, 0)]
