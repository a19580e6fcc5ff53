from dataclasses import replace

import numpy as np
import pytest
from batchgenerators.augmentations.color_augmentations import augment_contrast, augment_gamma
from scipy.stats import binomtest, kstest

from trainer.data.intensity import (
    apply_intensity,
    blur,
    change_contrast,
    change_gamma,
    draw_intensity,
    lower_resolution,
    noise_field,
)


@pytest.fixture
def channel() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((12, 14, 16)).astype(np.float32)


@pytest.mark.parametrize("factor", [0.75, 1.25])
def test_contrast_agrees_with_batchgenerators(channel: np.ndarray, factor: float) -> None:
    expected = augment_contrast(channel[None].copy(), contrast_range=lambda: factor)[0]
    np.testing.assert_allclose(change_contrast(channel, factor), expected, atol=1e-5)


@pytest.mark.parametrize("inverted", [False, True])
def test_gamma_agrees_with_batchgenerators(channel: np.ndarray, inverted: bool) -> None:
    expected = augment_gamma(channel[None].copy(), (1.3, 1.3), inverted, per_channel=True, retain_stats=True)[0]
    np.testing.assert_allclose(change_gamma(channel, 1.3, inverted), expected, atol=1e-4)


def test_gamma_below_one_keeps_statistics_and_undoes_gamma_above() -> None:
    values = np.linspace(0, 1, 101, dtype=np.float32).reshape(101, 1, 1)
    brighter = change_gamma(values, 0.5, False)
    assert brighter.mean() == pytest.approx(values.mean(), abs=1e-6)
    assert brighter.std() == pytest.approx(values.std(), abs=1e-6)
    # up to the restored mean and sd it is the square root
    assert np.corrcoef(brighter.ravel(), np.sqrt(values.ravel()))[0, 1] == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(change_gamma(values, 0.5, True), 1 - change_gamma(1 - values, 0.5, False), atol=1e-5)


def test_a_constant_channel_stays_as_it_is_and_finite() -> None:
    flat = np.full((4, 4, 4), 2.5, np.float32)
    for changed in (
        change_gamma(flat, 0.7, False),
        change_contrast(flat, 1.2),
        lower_resolution(flat, 0.5, (0, 1, 2)),
        blur(flat, (1, 1, 1)),
    ):
        np.testing.assert_allclose(changed, flat, rtol=1e-6)


def test_lower_resolution_takes_the_nearest_and_interpolates_linearly() -> None:
    ramp = np.arange(4, dtype=np.float32)
    along_x = lower_resolution(np.broadcast_to(ramp, (2, 2, 4)).copy(), 0.5, (2,))
    # voxels 1 and 3 are kept, centred at 0.5 and 2.5 of the original grid
    np.testing.assert_allclose(along_x, np.broadcast_to([1, 1.5, 2.5, 3], (2, 2, 4)))
    along_z = lower_resolution(np.broadcast_to(ramp, (2, 2, 4)).copy(), 0.5, (0, 1))
    np.testing.assert_allclose(along_z, np.broadcast_to(ramp, (2, 2, 4)))


def test_noise_is_gaussian_with_the_drawn_sd() -> None:
    added = noise_field(np.random.default_rng(1), (12, 14, 16), 0.3)
    assert kstest(added.ravel() / 0.3, "norm").pvalue > 1e-3
    assert added.dtype == np.float32


def test_blur_spreads_a_point_by_its_sigma() -> None:
    point = np.zeros((21, 21, 21), np.float32)
    point[10, 10, 10] = 1
    spread = blur(point, (0.6, 0.8, 1.0))
    assert spread.sum() == pytest.approx(1, abs=1e-5)
    for axis, sigma in enumerate((0.6, 0.8, 1.0)):
        profile = spread.sum(axis=tuple(a for a in range(3) if a != axis))
        variance = (profile * (np.arange(21) - 10) ** 2).sum()
        assert variance == pytest.approx(sigma**2, rel=0.1)


def test_transforms_come_with_nnunets_probabilities() -> None:
    rng = np.random.default_rng(2)
    patch = rng.standard_normal((1, 6, 6, 6)).astype(np.float32)
    untouched = 0
    for _ in range(1500):
        image = patch.copy()
        apply_intensity(image, draw_intensity(rng, (True,), (6, 6, 6), (0, 1, 2)))
        untouched += np.array_equal(image, patch)
    # noise, blur (half of the channels), brightness, contrast, low resolution (half), gamma twice
    share = 0.9 * (1 - 0.2 * 0.5) * 0.85 * 0.85 * (1 - 0.25 * 0.5) * 0.9 * 0.7
    assert binomtest(untouched, 1500, share).pvalue > 1e-3


def test_only_present_channels_change() -> None:
    rng = np.random.default_rng(3)
    patch = rng.standard_normal((3, 6, 6, 6)).astype(np.float32)
    changed = np.zeros(3, int)
    for _ in range(100):
        image = patch.copy()
        apply_intensity(image, draw_intensity(rng, (True, False, True), (6, 6, 6), (0, 1, 2)))
        changed += (image != patch).any(axis=(1, 2, 3))
    assert changed[1] == 0
    assert changed[0] > 20
    assert changed[2] > 20


def test_what_is_drawn_does_not_depend_on_the_image_and_is_applied_alike_each_time() -> None:
    for seed in range(40):
        drawn = draw_intensity(np.random.default_rng(seed), (True, True), (6, 7, 8), (1, 2), unblurred=(0,))
        patch = np.random.default_rng(seed).standard_normal((2, 6, 7, 8)).astype(np.float32)
        first, second = patch.copy(), patch.copy()
        apply_intensity(first, drawn)
        apply_intensity(second, drawn)
        np.testing.assert_array_equal(first, second)


def test_nothing_is_blurred_or_coarsened_along_axes_that_are_kept_apart() -> None:
    """Slices along z that differ from each other alone: blur and low resolution within slices leave them."""
    patch = np.broadcast_to(np.arange(6, dtype=np.float32)[:, None, None], (1, 6, 8, 8))
    seen = {"blur": 0, "resolution": 0}
    for seed in range(60):
        drawn = draw_intensity(np.random.default_rng(seed), (True,), (6, 8, 8), (1, 2), unblurred=(0,))
        empty: dict = {kind: {} for kind in ("noise", "brightness", "contrast", "inverted_gamma", "gamma")}
        image = patch.copy()
        apply_intensity(image, replace(drawn, **empty))
        np.testing.assert_allclose(image, patch, rtol=1e-6, atol=1e-6)
        seen["blur"] += bool(drawn.blur)
        seen["resolution"] += bool(drawn.resolution)
    assert all(seen.values()), seen
