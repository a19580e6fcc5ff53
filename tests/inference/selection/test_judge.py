"""Selection with regions and ignored voxels: what is counted, fitted and judged is what evaluation measures."""

from pathlib import Path

import numpy as np
import pytest

from autoseg.image.image import Image, write_image
from autoseg.image.labels import LabelRegion, Labels
from autoseg.metrics import CaseMetrics, case_metrics
from autoseg.run_folder.selection import ClassRule, rules_by_class
from autoseg.whole_image.mixture import Mixture, region_mask
from autoseg.whole_image.out_of_fold import write_probabilities
from inference.post_processing import post_processed
from inference.selection.candidate_scores import CaseFiles, candidates_of, count_case
from inference.selection.judge import judge_case
from inference.selection.post_processing_outcomes import PLAIN, THRESHOLDS, outcomes_of_case, rule_of
from tests.autoseg.whole_image.probabilities import random_probabilities
from tests.example_record import example_geometry, example_record

PLAIN_LABELS = Labels(values=(0, 3, 8), names=("background", "body", "lesion"))
REGIONS = (LabelRegion(name="whole", values=(3, 8), value=3), LabelRegion(name="lesion", values=(8,), value=8))
KINDS = {
    "ignore": PLAIN_LABELS.changed(ignore=9),
    "regions": PLAIN_LABELS.changed(regions=REGIONS),
    "both": PLAIN_LABELS.changed(regions=REGIONS, ignore=9),
}
STORED = example_geometry((10, 36, 40), (3.0, 1.0, 1.0))
CONFIGURATIONS = ("2d", "3d")


def probabilities(labels: Labels, seed: int) -> np.ndarray:
    """Smooth probabilities of the classes, or of two regions of which the second lies inside the first."""
    of_classes = random_probabilities((9, 32, 40), seed=seed)
    return of_classes if not labels.overlapping else np.stack([1 - of_classes[0], of_classes[2]])


@pytest.fixture(params=KINDS)
def labels(request: pytest.FixtureRequest) -> Labels:
    return KINDS[request.param]


@pytest.fixture
def files(tmp_path: Path, labels: Labels) -> CaseFiles:
    """Two members, and a reference unlike both; in its lower half every second plane is ignored where any can be."""
    folders = {name: tmp_path / name for name in CONFIGURATIONS}
    record = example_record(STORED, case="a", crop_lower=(1, 2, 0), crop_upper=(10, 34, 40), shape=(9, 32, 40))
    for seed, folder in enumerate(folders.values()):
        write_probabilities(folder, record, probabilities(labels, seed), overlapping=labels.overlapping)
    truth = np.zeros(STORED.shape, np.uint8)
    truth[1:, 2:34] = np.roll(random_probabilities((9, 32, 40), seed=0).argmax(0), 1, axis=1)
    if labels.ignored is not None:
        truth[:6:2] = labels.ignored
    write_image(tmp_path / "reference.nii.gz", Image(labels.to_values(truth)[None], STORED))
    return CaseFiles("a", tmp_path / "reference.nii.gz", folders)


def evaluated(files: CaseFiles, candidate: tuple[str, ...], rules: tuple[ClassRule, ...], labels: Labels) -> list:
    """Rows of the evaluation of what a candidate predicts."""
    members = files.read(candidate, overlapping=labels.overlapping)
    classes = post_processed(members, rules, labels)
    truth = labels.to_values(files.read_reference(members[0].record, labels))
    return case_metrics("a", truth, labels.to_values(classes), STORED.spacing, labels, surfaces=False)


@pytest.mark.parametrize("slab", [10**9, 20_000])
def test_candidates_are_counted_as_they_are_evaluated(
    files: CaseFiles, labels: Labels, slab: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.selection.candidate_scores._SLAB_BYTES", slab)
    candidates = candidates_of(CONFIGURATIONS)
    for candidate, counts in zip(candidates, count_case(files, candidates, labels), strict=True):
        rows = evaluated(files, candidate, rules_by_class((), labels), labels)
        found = np.array([[c.tp, c.fp, c.fn, c.tn] for c in counts])
        expected = np.array([[r.counts.tp, r.counts.fp, r.counts.fn, r.counts.tn] for r in rows])
        # a mean that rounding puts on either side of one half
        assert np.abs(found - expected).max() <= 2 and (found[:, :3] > 20).all()
        assert (found.sum(axis=1) == expected.sum(axis=1)).all()


@pytest.mark.parametrize("setting", [PLAIN, (3, 0, 0), (8, 0, 5), (5, 1, 0)], ids=str)
def test_an_outcome_is_what_the_rule_makes_of_the_label_map(
    files: CaseFiles, labels: Labels, setting: tuple[int, int, int]
) -> None:
    outcomes = outcomes_of_case(files, ("2d",), labels)
    assert len(outcomes) == 2
    for index, name in enumerate(labels.foreground):
        rules = [ClassRule(name=other) for other in labels.foreground]
        rules[index] = rule_of(name, setting)
        made = evaluated(files, ("2d",), tuple(rules), labels)[index]
        outcome = outcomes[index]
        assert outcome.dice[setting] == pytest.approx(made.dice, abs=2e-3)
        assert outcome.lesions == len(made.lesions.lesions)
        counts = zip((outcome.found, outcome.predicted, outcome.false), _counts(made), strict=True)
        # a voxel of equal probabilities, of which 8 bit has some, may fall to either class
        assert all(abs(found[setting] - expected) <= (0 if labels.overlapping else 1) for found, expected in counts)


def _counts(row: CaseMetrics) -> tuple[int, int, int]:
    return row.lesions.found, row.lesions.predicted, row.lesions.false


def test_what_a_later_region_shows_of_an_outer_one_is_fitted_with_it(files: CaseFiles, labels: Labels) -> None:
    if not labels.overlapping:
        return
    mixture = Mixture(files.read(("3d",), overlapping=True))
    truth = files.read_reference(mixture.record, labels)
    known = truth != 3
    outcome, right, differ = outcomes_of_case(files, ("3d",), labels)[0], labels.mask(truth, 1), 0
    inner = region_mask(mixture, 2)
    for t, threshold in enumerate(THRESHOLDS):
        alone = region_mask(mixture, 1, threshold)
        mask = (alone | inner) & known
        differ += np.count_nonzero(inner & ~alone)
        assert outcome.dice[t, 0, 0] == pytest.approx(2 * (mask & right).sum() / (mask.sum() + right.sum()), abs=1e-9)
    assert differ > 20


def test_nothing_that_lies_in_ignored_voxels_is_judged(files: CaseFiles, labels: Labels) -> None:
    judged = judge_case((files, rules_by_class((), labels)), ("2d",), labels, lesions=("lesion",))
    expected = evaluated(files, ("2d",), rules_by_class((), labels), labels)
    assert [row.counts for row in judged.rows] == [row.counts for row in expected]
    annotated, predicted = judged.lesions["lesion"]
    row = judged.rows[labels.foreground.index("lesion")]
    # a predicted lesion is measured with what of it lies in ignored voxels; the same ones count as in evaluation
    assert len(annotated) == len(row.lesions.lesions) and 0 < len(predicted) == row.lesions.predicted
    assert sum(not lesion.touches for lesion in predicted) == row.lesions.false


def test_each_region_is_post_processed_before_the_label_map_is_made(files: CaseFiles, labels: Labels) -> None:
    if not labels.overlapping:
        return
    members = files.read(("2d",), overlapping=True)
    rules = (ClassRule(name="whole"), ClassRule(name="lesion", largest_component=True))
    classes = post_processed(members, rules, labels)
    plain = post_processed(members, rules_by_class((), labels), labels)
    # what is no lesion any more is part of the whole, if it was
    whole = region_mask(Mixture(members), 1)
    assert np.count_nonzero(classes == 2) < np.count_nonzero(plain == 2)
    np.testing.assert_array_equal(classes > 0, whole | (classes == 2))
