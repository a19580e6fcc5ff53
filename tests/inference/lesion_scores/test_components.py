"""What is measured of a predicted lesion, against scipy on the same arrays."""

import numpy as np
import pytest
from scipy import ndimage

from autoseg.whole_image.case_probabilities import CaseProbabilities
from autoseg.whole_image.mixture import Mixture
from inference.lesion_scores.components import CERTAIN, MeasuredLesion, predicted_lesions
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
    found = predicted_lesions(classes, mixture, 1, truth)
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


def test_without_a_reference_nothing_is_touched_and_without_a_prediction_nothing_is_found() -> None:
    mixture = mixture_of(0, "2d")
    classes = truth_of(0)
    assert {one.touches for one in predicted_lesions(classes, mixture, 1)} == {()}
    assert predicted_lesions(np.zeros_like(classes), mixture, 1, classes == 1) == []


def test_features_are_finite_however_sure_the_network_is() -> None:
    sure = MeasuredLesion(1, 0.5, 1.0, 1.0, (0, 0, 0))
    unsure = MeasuredLesion(1, 0.5, 0.0, 0.5, (0, 0, 0))
    limit = np.log((1 - CERTAIN) / CERTAIN)
    assert sure.features == pytest.approx((limit, limit, np.log(0.5)))
    assert unsure.features == pytest.approx((-limit, 0, np.log(0.5)))
