"""Means of configurations of different spacing against scipy's zoom; 8 bit; thresholds as weights."""

import numpy as np
import pytest
from scipy import ndimage

from autoseg.image.geometry import Reorientation
from autoseg.run_folder.selection import ClassRule
from autoseg.whole_image.case_probabilities import LEVELS, CaseProbabilities, quantized
from autoseg.whole_image.export import export_probabilities, label_image
from autoseg.whole_image.mixture import Mixture, most_probable
from tests.autoseg.whole_image.probabilities import LABELS, random_probabilities, record

WHOLE = (20, 30, 33)
CROP = {"crop_lower": (2, 0, 3), "crop_upper": (20, 30, 31)}


def member(shape, seed, *, eight_bit: bool = False, turned=None) -> CaseProbabilities:
    probabilities = random_probabilities(shape, seed=seed).astype(np.float32)
    options = {} if turned is None else {"reorientation": turned}
    case = record(WHOLE, (1.5, 2.0, 3.0), shape=shape, **CROP, **options)
    return CaseProbabilities(quantized(probabilities) if eight_bit else probabilities, case)


def on_the_image(predicted: CaseProbabilities) -> np.ndarray:
    """(K, *crop) by scipy."""
    zoom = [new / old for new, old in zip((18, 30, 28), predicted.record.shape, strict=True)]
    values = predicted.probabilities / (LEVELS if predicted.probabilities.dtype == np.uint8 else 1)
    return np.stack([ndimage.zoom(p, zoom, order=1, mode="nearest", grid_mode=True) for p in values])


@pytest.mark.parametrize("eight_bit", [False, True])
def test_the_class_is_that_of_the_largest_mean_on_the_images_grid(eight_bit: bool) -> None:
    members = [member((12, 15, 9), 1, eight_bit=eight_bit), member((18, 20, 28), 2)]
    mean = (on_the_image(members[0]) + on_the_image(members[1])) / 2
    top = np.sort(mean, axis=0)
    clear = top[-1] - top[-2] > 1e-5
    classes = most_probable(members)
    assert classes.shape == WHOLE and clear.mean() > 0.99
    np.testing.assert_array_equal(classes[2:20, :, 3:31][clear], mean.argmax(0)[clear])
    classes[2:20, :, 3:31] = 0
    assert not classes.any(), "background outside the crop"
    single = [most_probable([one])[2:20, :, 3:31] for one in members]
    assert all((one != mean.argmax(0)).mean() > 0.05 for one in single), "the mean is neither of them"


def test_mean_probabilities_are_exported_at_the_stored_geometry() -> None:
    turned = Reorientation((2, 1, 0), (True, False, True))
    stored_shape = (33, 30, 20)  # what the reorientation makes WHOLE of
    case = record(stored_shape, (1.5, 2.0, 3.0), reorientation=turned, shape=(12, 15, 9), **CROP)
    arrays = [random_probabilities((12, 15, 9), seed=seed).astype(np.float32) for seed in (1, 2)]
    members = [CaseProbabilities(array, case) for array in arrays]
    exported = dict(export_probabilities(members, LABELS))
    expected = on_the_image(CaseProbabilities((arrays[0] + arrays[1]) / 2, case))
    back = exported[600].array[0][::-1, :, ::-1].transpose(2, 1, 0)
    np.testing.assert_allclose(back[2:20, :, 3:31], expected[2], atol=1e-5)
    assert exported[600].geometry == case.stored
    assert label_image(most_probable(members), case, LABELS).array.shape == (1, *stored_shape)


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.8])
def test_the_weight_of_a_class_is_a_threshold_of_its_probability(threshold: float) -> None:
    foreground = np.random.default_rng(3).random(WHOLE).astype(np.float32)
    predicted = CaseProbabilities(np.stack([1 - foreground, foreground]), record(WHOLE))
    rule = ClassRule(name="lesion", threshold=threshold)
    clear = np.abs(foreground - threshold) > 1e-5
    np.testing.assert_array_equal(
        most_probable([predicted], (1.0, rule.weight))[clear].astype(bool), (foreground > threshold)[clear]
    )


def test_eight_bit_is_off_by_half_a_level_and_sums_to_one() -> None:
    probabilities = random_probabilities((9, 11, 13)).astype(np.float16)
    levels = quantized(probabilities)
    assert levels.dtype == np.uint8
    assert np.abs(levels[1:] / LEVELS - probabilities[1:]).max() < 0.51 / LEVELS
    assert np.abs(levels[0] / LEVELS - probabilities[0]).max() < 1.6 / LEVELS
    assert (levels.sum(0, dtype=int) == LEVELS).all()


def test_eight_bit_changes_a_class_only_where_two_are_within_its_steps() -> None:
    exact = member((12, 15, 9), 1)
    rough = CaseProbabilities(quantized(exact.probabilities), exact.record)
    top = np.sort(on_the_image(exact), axis=0)
    clear = top[-1] - top[-2] > 3 / LEVELS
    one, other = (most_probable([p])[2:20, :, 3:31] for p in (exact, rough))
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(one[clear], other[clear])


def test_members_of_another_image_crop_or_task_are_refused() -> None:
    good = member((12, 15, 9), 1)
    elsewhere = record(WHOLE, (1.5, 2.0, 3.0), shape=(12, 15, 9), crop_lower=(1, 0, 3), crop_upper=(19, 30, 31))
    for other in (
        CaseProbabilities(good.probabilities, elsewhere),
        CaseProbabilities(good.probabilities[:2], good.record),
    ):
        with pytest.raises(ValueError, match="one image"):
            Mixture([good, other])
    with pytest.raises(ValueError, match="one image"):
        Mixture([])
