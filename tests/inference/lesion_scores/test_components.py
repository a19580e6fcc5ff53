"""What is measured of a predicted lesion, against scipy on the same arrays."""

import numpy as np
import pytest
from scipy import ndimage

from autoseg.whole_image.case_probabilities import CaseProbabilities
from autoseg.whole_image.mixture import Mixture
from inference.lesion_scores.components import CERTAIN, MeasuredLesion, annotated_lesions, predicted_lesions
from tests.inference.selectable import CROP, LOWER, STORED, TURN, probability_of, record_of, truth_of

CUBE = np.ones((3, 3, 3))


def mixture_of(case: int, *names: str) -> Mixture:
    members = []
    for name in names:
        probability = probability_of(case, name).astype(np.float32)
        members.append(CaseProbabilities(np.stack([1 - probability, probability]), record_of(case, name)))
    return Mixture(members)


@pytest.mark.parametrize("names", [("2d",), ("2d", "3d")])
def test_each_component_has_the_figures_that_scipy_finds(names: tuple[str, ...]) -> None:
    mixture = mixture_of(3, *names)
    depth, y, x = mixture.record.cropped_shape
    probability = mixture.mean(1, (slice(0, depth), slice(0, y), slice(0, x)))
    classes = np.zeros(mixture.record.reoriented.shape, np.uint8)
    classes[CROP] = probability > 0.5
    truth = truth_of(3) == 1
    found = predicted_lesions(classes == 1, mixture, 1, truth)
    parts, count = ndimage.label(classes[CROP] == 1, CUBE)
    lesions, _ = ndimage.label(truth, CUBE)
    assert len(found) == count > 3
    index = range(1, count + 1)
    ours = sorted(
        (one.voxels, *one.centre, one.mean_probability, one.largest_probability, len(one.touches)) for one in found
    )
    theirs = sorted(
        (
            int(np.count_nonzero(parts == i)),
            *(np.array(ndimage.center_of_mass(parts == i)) + LOWER),
            ndimage.mean(probability, parts, i),
            ndimage.maximum(probability, parts, i),
            np.count_nonzero(np.unique(lesions[CROP][parts == i])),
        )
        for i in index
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    voxel_ml = np.prod(TURN.apply_to_geometry(STORED).spacing) / 1000
    assert all(one.volume_ml == pytest.approx(one.voxels * voxel_ml) for one in found)


def test_what_the_network_makes_of_annotated_lesions_is_measured_also_where_it_did_not_look() -> None:
    mixture = mixture_of(3, "2d")
    depth, y, x = mixture.record.cropped_shape
    truth = truth_of(3) == 1
    truth[0, 0, :3] = True  # outside of the crop
    probability = np.zeros(truth.shape)
    probability[CROP] = mixture.mean(1, (slice(0, depth), slice(0, y), slice(0, x)))
    predicted = probability > 0.9
    lesions, count = ndimage.label(truth, CUBE)
    found = annotated_lesions(truth, mixture, 1, predicted)
    ours = sorted((one.voxels, one.mean_probability, one.largest_probability, one.met) for one in found)
    theirs = sorted(
        (
            np.count_nonzero(lesions == i),
            ndimage.mean(probability, lesions, i),
            ndimage.maximum(probability, lesions, i),
            bool(predicted[lesions == i].any()),
        )
        for i in range(1, count + 1)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert [one.looked_at for one in sorted(found, key=lambda one: one.voxels)] == [False, *[True] * (count - 1)]


def test_a_lesion_of_another_class_is_met_and_not_touched() -> None:
    mixture = mixture_of(0, "2d")
    classes = truth_of(0)
    nothing = np.zeros(classes.shape, bool)
    found = predicted_lesions(classes == 1, mixture, 1, nothing, classes == 1)
    assert found and {(one.touches, one.met) for one in found} == {((), True)}
    own = predicted_lesions(classes == 1, mixture, 1, classes == 1)
    assert {one.met for one in own} == {True} and {len(one.touches) for one in own} == {1}


def test_without_a_reference_nothing_is_touched_and_without_a_prediction_nothing_is_found() -> None:
    mixture = mixture_of(0, "2d")
    classes = truth_of(0)
    assert {one.touches for one in predicted_lesions(classes == 1, mixture, 1)} == {()}
    assert predicted_lesions(np.zeros(classes.shape, bool), mixture, 1, classes == 1) == []


def test_features_are_finite_however_sure_the_network_is() -> None:
    sure = MeasuredLesion(1, 0.5, 1.0, 1.0, (0, 0, 0))
    unsure = MeasuredLesion(1, 0.5, 0.0, 0.5, (0, 0, 0))
    limit = np.log((1 - CERTAIN) / CERTAIN)
    assert sure.features == pytest.approx((limit, limit, np.log(0.5)))
    assert unsure.features == pytest.approx((-limit, 0, np.log(0.5)))


def test_a_predicted_lesion_of_which_less_than_half_is_annotated_is_left_out() -> None:
    mixture = mixture_of(3, "2d")
    mask = np.zeros(mixture.record.reoriented.shape, bool)
    mask[CROP] = probability_of(3, "2d") > 0.5
    everywhere, known = predicted_lesions(mask, mixture, 1), np.zeros(mask.shape, bool)
    assert predicted_lesions(mask, mixture, 1, known=known) == []
    parts, _ = ndimage.label(mask, CUBE)
    largest = np.bincount(parts[mask]).argmax()
    voxels = np.argwhere(parts == largest)
    known[tuple(voxels[: (len(voxels) - 1) // 2].T)] = True
    assert predicted_lesions(mask, mixture, 1, known=known) == []
    known[tuple(voxels[: (len(voxels) + 1) // 2].T)] = True
    (kept,) = predicted_lesions(mask, mixture, 1, known=known)
    # it is measured with all its voxels
    assert kept in everywhere and kept.voxels == (parts == largest).sum() > 1 < len(everywhere)
