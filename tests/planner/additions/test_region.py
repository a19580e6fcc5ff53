"""The region that is learned from labels: no fold would have lost foreground by it; planned where it saves."""

import numpy as np
import pytest

from autoseg.dataset.fingerprint import CaseFingerprint, Fingerprint
from autoseg.image.geometry import overlap
from autoseg.plan.region import Region
from autoseg.run_folder.splits import Split
from planner.additions.region import LARGEST_SHARE, LEAST_CASES, learn_region, within
from planner.splits import make_splits
from tests.example_fingerprint import example_case_fingerprint, example_fingerprint

SHAPE = (40, 200, 200)


def case(index: int, rng: np.random.Generator, *, organ: tuple[float, float] = (0.3, 0.6)) -> CaseFingerprint:
    """A case whose body lies anywhere in the image, with foreground between two shares of the body."""
    start = rng.integers(0, 40, 3) * (0, 1, 1)
    length = np.array(SHAPE) - start - rng.integers(0, 20, 3) * (0, 1, 1)
    low = start + length * (organ[0] + rng.uniform(0, 0.1, 3))
    high = start + length * (organ[1] - rng.uniform(0, 0.1, 3))
    return example_case_fingerprint(
        f"case_{index}",
        shape=SHAPE,
        spacing=(5.0, 1.5, 1.5),
        body=(tuple(start.tolist()), tuple((start + length).tolist())),
        foreground=(tuple(np.floor(low).astype(int).tolist()), tuple(np.ceil(high).astype(int).tolist())),
    )


def measured(count: int = 20, **options: tuple[float, float]) -> Fingerprint:
    rng = np.random.default_rng(count)
    return example_fingerprint([case(i, rng, **options) for i in range(count)])


def folds(fingerprint: Fingerprint, count: int = 5) -> tuple[Split, ...]:
    names = [one.case for one in fingerprint.cases]
    parts = [tuple(names[i::count]) for i in range(count)]
    return tuple(Split(train=tuple(n for n in names if n not in part), val=part) for part in parts)


def lower_end(one: CaseFingerprint) -> float:
    """Lower end of the foreground along z, as a share of the body."""
    return (one.foreground[0][0] - one.body[0][0]) / (one.body[1][0] - one.body[0][0])


def lies_within(one: CaseFingerprint, region) -> bool:
    frame = one.body if region.frame == "body" else ((0, 0, 0), one.shape)
    return overlap(one.foreground, region.box(frame, one.shape, one.spacing)) == one.foreground


def ends(cases, frame: str) -> tuple[np.ndarray, np.ndarray]:
    """Ends (case, axis) of the foreground as shares of a frame, by the definition."""
    found = []
    for one in cases:
        start, end = (np.array(corner) for corner in (one.body if frame == "body" else ((0, 0, 0), one.shape)))
        found.append([(np.array(corner) - start) / (end - start) for corner in one.foreground])
    low, high = np.array(found).transpose(1, 0, 2)
    return low, high


def missed_by_a_fold(region: Region, fingerprint: Fingerprint, splits: tuple[Split, ...]) -> float:
    """Largest share of a frame by which a fold's validation cases lie outside the region of its training cases.

    That region is learned here, and widened as the planned one is beyond the ends of all cases.
    """
    cases = [one for one in fingerprint.cases if one.foreground]
    low, high = ends(cases, region.frame)
    widened = low.min(0) - np.array(region.lower), np.array(region.upper) - high.max(0)
    missed = [0.0]
    for split in splits:
        trained = np.array([one.case in split.train for one in cases])
        if trained.all():
            continue
        missed.append(float((low[trained].min(0) - widened[0] - low[~trained].min(0)).max()))
        missed.append(float((high[~trained].max(0) - high[trained].max(0) - widened[1]).max()))
    return max(missed)


def test_nothing_is_lost_and_the_body_is_the_better_frame_where_it_moves() -> None:
    fingerprint = measured()
    decision = learn_region(fingerprint, folds(fingerprint))
    assert decision.value is not None and decision.value.frame == "body"
    assert all(lies_within(one, decision.value) for one in fingerprint.cases)
    assert missed_by_a_fold(decision.value, fingerprint, folds(fingerprint)) < 1e-4
    assert decision.reason.startswith(decision.value.text) and "20 cases" in decision.reason


def test_the_margin_is_what_cross_validation_shows() -> None:
    """One case reaches further than all others: its fold, trained without it, would have missed it by 0.2."""
    cases = list(measured(organ=(0.4, 0.6)).cases)
    odd = cases[7]
    start, end = (np.array(corner) for corner in odd.body)
    low = (start + (0.2, 0.4, 0.4) * (end - start)).astype(int)
    cases[7] = odd.changed(foreground=(tuple(low.tolist()), odd.foreground[1]))
    fingerprint = example_fingerprint(cases)
    region = learn_region(fingerprint, folds(fingerprint)).value
    others = min(lower_end(one) for one in cases if one.case != odd.case)
    assert region is not None
    assert region.lower[0] == pytest.approx(0.2 - (others - 0.2), abs=1e-3)


def test_few_cases_tell_nothing() -> None:
    fingerprint = measured(LEAST_CASES - 1)
    decision = learn_region(fingerprint, folds(fingerprint))
    assert decision.value is None and f"{LEAST_CASES - 1} cases have foreground" in decision.reason


def test_no_region_where_foreground_is_nearly_everywhere() -> None:
    fingerprint = measured(organ=(0.0, 1.0))
    decision = learn_region(fingerprint, folds(fingerprint))
    assert decision.value is None and decision.reason.startswith("whole images: foreground lies in")


def test_fingerprints_of_earlier_releases_have_no_boxes() -> None:
    fingerprint = measured()
    before = fingerprint.changed(cases=tuple(one.changed(body=None, foreground=None) for one in fingerprint.cases))
    decision = learn_region(before, folds(before))
    assert decision.value is None and "earlier release" in decision.reason
    region = learn_region(fingerprint, folds(fingerprint)).value
    assert within(before, region) == before


def test_a_case_without_foreground_counts_for_what_a_usual_field_of_view_is() -> None:
    healthy = case(99, np.random.default_rng(99)).changed(spacing=(9.0, 1.5, 1.5), foreground=None)
    fingerprint = example_fingerprint([*measured().cases, healthy])
    region = learn_region(fingerprint, folds(fingerprint)).value
    assert region is not None and region.longest_mm[0] == pytest.approx(9.0 * SHAPE[0])


def test_foreground_far_from_bodies_that_were_found_too_small_gives_no_region_of_bodies() -> None:
    cases = list(measured().cases)
    cases[3] = cases[3].changed(body=((38, 190, 190), (40, 200, 200)))
    fingerprint = example_fingerprint(cases)
    region = learn_region(fingerprint, folds(fingerprint)).value
    assert region is None or region.frame == "image"


def test_shapes_within_the_region_are_those_of_its_boxes() -> None:
    fingerprint = measured()
    region = learn_region(fingerprint, folds(fingerprint)).value
    assert region is not None
    for whole, cropped in zip(fingerprint.cases, within(fingerprint, region).cases, strict=True):
        lower, upper = region.box(whole.body, whole.shape, whole.spacing)
        assert cropped.cropped_shape == tuple(b - a for a, b in zip(lower, upper, strict=True))
        assert cropped.shape == whole.shape
    assert within(fingerprint, None) is fingerprint


def test_real_livers_lie_in_a_part_of_their_images_and_hippocampi_fill_theirs(real) -> None:
    """Semi-synthetic lesions in real livers."""
    dataset, fingerprint = real("liver_lesions20")
    splits = make_splits(dataset, fingerprint, seed=1234)
    region = learn_region(fingerprint, splits).value
    assert region is not None
    voxels = [
        np.sum([np.prod(one.cropped_shape) for one in f.cases]) for f in (fingerprint, within(fingerprint, region))
    ]
    share = voxels[1] / voxels[0]
    assert share < 0.5 < LARGEST_SHARE
    assert all(lies_within(one, region) for one in fingerprint.cases if one.foreground)
    assert missed_by_a_fold(region, fingerprint, splits) < 1e-4
    small, whole = real("hippocampus40")
    assert learn_region(whole, make_splits(small, whole, seed=1234)).value is None


def test_none_is_learned_where_voxels_are_not_annotated() -> None:
    fingerprint = measured()
    assert learn_region(fingerprint, ()).value is not None
    sparse = fingerprint.changed(labels=fingerprint.labels.changed(ignore=max(fingerprint.labels.values) + 1))
    decision = learn_region(sparse, ())
    assert decision.value is None and "not known where voxels are not annotated" in decision.reason
