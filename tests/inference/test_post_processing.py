"""Removing components: against scipy's labelling, and what a removed one becomes."""

import numpy as np
from scipy import ndimage

from autoseg.run_folder.selection import ClassRule
from inference.post_processing import class_weights, remove_components

SPACING = (3.0, 1.0, 1.0)


def cleaned(classes: np.ndarray, *rules: ClassRule) -> np.ndarray:
    result = classes.copy()
    remove_components(result, rules, SPACING)
    return result


def speckles(seed: int = 0) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(12, 40, 44)), 1.2)
    return (noise > np.percentile(noise, 85)).astype(np.uint8)


def test_components_under_a_size_are_removed() -> None:
    classes = speckles()
    parts, count = ndimage.label(classes, np.ones((3, 3, 3)))
    volumes = 3.0 * np.bincount(parts.ravel())
    kept = np.flatnonzero(volumes >= np.pi / 6 * 5.0**3)
    expected = np.isin(parts, kept[kept > 0])
    assert 0 < len(kept) - 1 < count
    result = cleaned(classes, ClassRule(name="lesion", minimal_diameter_mm=5.0))
    np.testing.assert_array_equal(result.astype(bool), expected)


def test_only_the_largest_component_is_kept() -> None:
    classes = speckles(1)
    parts, _ = ndimage.label(classes, np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    result = cleaned(classes, ClassRule(name="lesion", largest_component=True))
    np.testing.assert_array_equal(result.astype(bool), parts == sizes.argmax())
    both = cleaned(classes, ClassRule(name="lesion", largest_component=True, minimal_diameter_mm=500.0))
    assert not both.any(), "the largest one may be too small as well"


def test_a_removed_component_becomes_what_surrounds_it() -> None:
    classes = np.zeros((7, 20, 20), np.uint8)
    classes[:, 2:12, 2:12] = 1
    classes[3, 5:7, 5:7] = 2  # within class 1
    classes[3, 16:18, 16:18] = 2  # within the background
    classes[0, 0, 19] = 2  # at the image's corner
    expected = classes.copy()
    expected[3, 5:7, 5:7] = 1
    expected[3, 16:18, 16:18] = 0
    expected[0, 0, 19] = 0
    rules = ClassRule(name="body"), ClassRule(name="lesion", minimal_diameter_mm=10.0)
    np.testing.assert_array_equal(cleaned(classes, *rules), expected)


def test_a_plain_rule_changes_nothing_and_an_absent_class_is_no_error() -> None:
    classes = speckles(2)
    np.testing.assert_array_equal(cleaned(classes, ClassRule(name="lesion")), classes)
    everywhere = np.ones_like(classes)
    rules = ClassRule(name="a", minimal_diameter_mm=1e6), ClassRule(name="b", largest_component=True)
    assert not cleaned(everywhere, *rules).any()


def test_weights_are_the_odds_against_a_class() -> None:
    rules = ClassRule(name="a", threshold=0.2), ClassRule(name="b")
    np.testing.assert_allclose(class_weights(rules), (1.0, 4.0, 1.0))
