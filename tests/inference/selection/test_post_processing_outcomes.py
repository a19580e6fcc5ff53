"""The table of outcomes against label maps that are really made and really measured."""

from pathlib import Path

import numpy as np
import pytest

from autoseg.image.image import Image, write_image
from autoseg.image.labels import Labels
from autoseg.metrics import case_metrics
from autoseg.run_folder.selection import ClassRule
from autoseg.whole_image.mixture import most_probable
from autoseg.whole_image.out_of_fold import read_probabilities, write_probabilities
from inference.post_processing import class_weights, remove_components
from inference.selection.candidate_scores import CaseFiles
from inference.selection.post_processing_outcomes import (
    DIAMETERS_MM,
    GRID,
    PLAIN,
    THRESHOLDS,
    outcomes_of_case,
    rule_of,
)
from tests.autoseg.whole_image.probabilities import random_probabilities
from tests.example_record import example_geometry, example_record

LABELS = Labels(values=(0, 3, 8), names=("background", "body", "lesion"))
STORED = example_geometry((10, 36, 40), (3.0, 1.0, 1.0))
SETTINGS = [PLAIN, (2, 0, 0), (8, 0, 4), (5, 1, 0), (6, 1, 7), (11, 0, 11), (0, 0, 3)]


@pytest.fixture
def files(tmp_path: Path) -> CaseFiles:
    """Two members of different spacing, and a reference like their mean, but not equal to it."""
    folders = {}
    for seed, (name, step) in enumerate({"2d": 1, "3d": 2}.items()):
        shape = (9, 32 // step, 40 // step)
        record = example_record(
            STORED,
            case="a",
            crop_lower=(1, 2, 0),
            crop_upper=(10, 34, 40),
            spacing=(3.0, float(step), float(step)),
            shape=shape,
        )
        folders[name] = tmp_path / name
        write_probabilities(folders[name], record, random_probabilities(shape, seed=seed))
    truth = most_probable([read_probabilities(folders["2d"], "a")])
    reference = np.asarray(LABELS.values, np.uint8)[np.roll(truth, 1, axis=1)]
    write_image(tmp_path / "reference.nii.gz", Image(reference[None], STORED))
    return CaseFiles("a", tmp_path / "reference.nii.gz", folders)


@pytest.mark.parametrize("candidate", [("3d",), ("2d", "3d")])
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_an_outcome_is_what_the_rule_makes_of_the_label_map(files, candidate, setting) -> None:
    members = files.read(candidate)
    truth = LABELS.to_values(files.read_reference(members[0].record, LABELS))
    outcomes = outcomes_of_case(files, candidate, LABELS)
    for index, name in enumerate(LABELS.foreground):
        rules = [ClassRule(name=other) for other in LABELS.foreground]
        rules[index] = rule_of(name, setting)
        classes = most_probable(members, class_weights(rules))
        remove_components(classes, rules, STORED.spacing)
        made = case_metrics("a", truth, LABELS.to_values(classes), STORED.spacing, LABELS, surfaces=False)[index]
        outcome = outcomes[index]
        dice = outcome.dice[setting]
        # a voxel of equal probabilities, of which 8 bit has some, may fall to either class
        assert dice == pytest.approx(made.dice, abs=2e-3)
        assert outcome.lesions == len(made.lesions.lesions)
        assert abs(outcome.found[setting] - made.lesions.found) <= 1
        assert abs(outcome.predicted[setting] - made.lesions.predicted) <= max(1, 0.02 * made.lesions.predicted)


def test_more_is_predicted_the_lower_the_threshold_and_less_is_left_the_larger_the_size(files) -> None:
    outcome = outcomes_of_case(files, ("2d",), LABELS)[1]
    assert outcome.dice.shape == GRID == (len(THRESHOLDS), 2, len(DIAMETERS_MM))
    assert (np.diff(outcome.found[:, 0, 0]) <= 0).all()
    assert (np.diff(outcome.predicted, axis=2) <= 0).all()
    assert (outcome.predicted[:, 1] <= 1).all()


def test_a_class_in_neither_has_no_dice_and_one_that_is_made_up_has_0(files, tmp_path) -> None:
    write_image(tmp_path / "reference.nii.gz", Image(np.zeros((1, *STORED.shape), np.uint8), STORED))
    outcome = outcomes_of_case(files, ("2d",), LABELS)[1]
    assert outcome.dice[PLAIN] == 0 and outcome.lesions == 0
    assert outcome.false[PLAIN] == outcome.predicted[PLAIN] > 0
    gone = outcome.predicted == 0
    assert gone.any() and np.isnan(outcome.dice[gone]).all()
