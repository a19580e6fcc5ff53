"""Which predicted lesions count beside ignored voxels: by hand, and alike in evaluation, scores and selection."""

from pathlib import Path

import numpy as np
import pytest

from autoseg.image.image import Image, write_image
from autoseg.image.labels import LabelRegion, Labels
from autoseg.metrics import case_metrics
from autoseg.run_folder.selection import rules_by_class
from autoseg.whole_image.out_of_fold import write_probabilities
from inference.selection.candidate_scores import CaseFiles
from inference.selection.judge import judge_case
from inference.selection.post_processing_outcomes import PLAIN, outcomes_of_case
from tests.example_record import example_geometry, example_record

IGNORED = 9
LABELS = Labels(values=(0, 1), names=("background", "lesion"), ignore=IGNORED)
REGION = LABELS.changed(regions=(LabelRegion(name="lesion", values=(1,), value=1),))
ROW = example_geometry((1, 3, 24), (1.0, 1.0, 1.0))

# one row of the image: the reference and the prediction
CASES = {
    # a lesion in a ring of ignored voxels: what is predicted over the ring is one component, which is true
    "a ring": ("..991119.9..", ".11111111111", (1, 1, 1, 0)),
    # slivers beside ignored voxels: a third of the component is annotated, so nobody knows
    "slivers": (".99999999...", "111111......", (0, 0, 0, 0)),
    "half": ("..999.......", ".1111.......", (0, 0, 0, 0)),
    "exactly half": ("..999.......", "1111........", (0, 0, 1, 1)),
    "most": ("..9.........", "11111.......", (0, 0, 1, 1)),
    # it touches a lesion with one voxel, and lies in ignored voxels else
    "a touch": ("199999999...", "111111......", (1, 1, 1, 0)),
    "all ignored": ("999999999...", ".1111.......", (0, 0, 0, 0)),
    # of two lesions that ignored voxels part, one component finds both
    "two lesions": ("119911......", "111111......", (2, 2, 1, 0)),
    "missed": ("11.99.......", ".....1......", (1, 0, 1, 1)),
}


def row(text: str) -> np.ndarray:
    """The middle row of an image (1, 3, 24), in file values."""
    array = np.zeros(ROW.shape, np.uint8)
    array[0, 1, : len(text)] = [0 if character == "." else int(character) for character in text]
    return array


@pytest.mark.parametrize("labels", [LABELS, REGION], ids=["class", "region"])
@pytest.mark.parametrize("name", CASES)
def test_a_predicted_lesion_counts_if_it_is_true_or_half_annotated(tmp_path: Path, name: str, labels: Labels) -> None:
    reference, prediction, expected = CASES[name]
    truth, guess = row(reference), row(prediction)
    (found,) = case_metrics("a", truth, guess, ROW.spacing, labels, surfaces=False)
    lesions = found.lesions
    assert (len(lesions.lesions), lesions.found, lesions.predicted, lesions.false) == expected
    known = truth != IGNORED
    # voxels are those that are annotated, as ever
    assert found.counts.prediction == (guess[known] == 1).sum() and found.counts.tp == (guess[truth == 1] == 1).sum()

    probability = np.where(guess, 0.9, 0.1)
    outputs = probability[None] if labels.overlapping else np.stack([1 - probability, probability])
    record = example_record(ROW, case="a", crop_lower=(0, 0, 0), crop_upper=ROW.shape, shape=ROW.shape)
    write_probabilities(tmp_path / "3d", record, outputs.astype(np.float16), overlapping=labels.overlapping)
    write_image(tmp_path / "reference.nii.gz", Image(truth[None], ROW))
    files = CaseFiles("a", tmp_path / "reference.nii.gz", {"3d": tmp_path / "3d"})
    (outcome,) = outcomes_of_case(files, ("3d",), labels)
    counts = outcome.lesions, outcome.found[PLAIN], outcome.predicted[PLAIN], outcome.false[PLAIN]
    assert counts == expected
    assert (None if np.isnan(outcome.dice[PLAIN]) else outcome.dice[PLAIN]) == pytest.approx(found.dice)
    judged = judge_case((files, rules_by_class((), labels)), ("3d",), labels, lesions=("lesion",))
    annotated, predicted = judged.lesions["lesion"]
    assert (len(annotated), len(predicted)) == (expected[0], expected[2])
    assert sum(not lesion.touches for lesion in predicted) == expected[3]
    assert judged.rows[0].lesions == lesions


def test_the_overlap_of_a_lesion_is_that_of_annotated_voxels() -> None:
    (found,) = case_metrics("a", row("11199"), row(".1111"), ROW.spacing, LABELS, surfaces=False)
    (lesion,) = found.lesions.lesions
    # two of three voxels, and two voxels of the component are annotated
    assert lesion.overlap == pytest.approx(2 / 3) and lesion.iou == pytest.approx(2 / 3)
    assert lesion.dice == lesion.region_dice == pytest.approx(4 / 5)
