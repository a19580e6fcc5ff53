"""Normalisation against the formulas of the paper, computed directly."""

import numpy as np

from autoseg.plan.plan import ForegroundIntensity
from autoseg.preprocessing.normalize import normalize
from tests.example_plan import example_channel

ALL = np.ones((8, 9, 10), bool)
FOREGROUND = ForegroundIntensity(mean=80.0, sd=40.0, median=85.0, percentile_00_5=-50.0, percentile_99_5=220.0)
CT = example_channel("CT", normalization="ct", foreground=FOREGROUND)


def random_image(channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).normal(100, 60, (channels, 8, 9, 10)).astype(np.float32)


def test_ct_is_clipped_and_scored_by_the_foreground() -> None:
    image = random_image()
    out = normalize(image, ALL, (CT,), (True,))
    np.testing.assert_allclose(out, (np.clip(image, -50, 220) - 80) / 40, rtol=1e-5, atol=1e-6)
    assert image.min() < -50, "the input is not changed"


def test_colours_are_divided_by_255() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 1, 9, 10)).astype(np.float32)
    out = normalize(image, ALL[:1], (example_channel(normalization="rgb_to_0_1"),), (True,))
    np.testing.assert_allclose(out, image / 255)


def test_z_score_by_the_whole_image() -> None:
    image = random_image()
    out = normalize(image, ~ALL, (example_channel(),), (True,))
    np.testing.assert_allclose(out, (image - image.mean()) / image.std(), atol=1e-5)


def test_z_score_inside_the_mask_leaves_the_outside() -> None:
    image, mask = random_image(), np.random.default_rng(1).random(ALL.shape) < 0.4
    image[0, ~mask] = 0
    out = normalize(image, mask, (example_channel(inside_nonzero_mask=True),), (True,))[0]
    inside = image[0][mask]
    np.testing.assert_allclose(out[mask], (inside - inside.mean()) / inside.std(), atol=1e-5)
    assert (out[~mask] == 0).all()


def test_an_absent_channel_is_zero_and_changes_no_other() -> None:
    image = random_image(2)
    image[1] = 0
    channels = (example_channel("T1"), CT)
    out = normalize(image, ALL, channels, (True, False))
    assert (out[1] == 0).all()
    np.testing.assert_array_equal(out[0], normalize(image[:1], ALL, channels[:1], (True,))[0])


def test_large_offsets_lose_no_precision() -> None:
    image = (np.random.default_rng(0).normal(0, 1, (1, 8, 9, 10)) + 30000).astype(np.float32)
    out = normalize(image, ALL, (example_channel(),), (True,))
    expected = (image - image.mean(dtype=np.float64)) / image.std(dtype=np.float64)
    np.testing.assert_allclose(out, expected, atol=5e-3)
    assert abs(out.std() - 1) < 1e-4


def test_a_constant_image_becomes_zero() -> None:
    assert not normalize(np.full((1, 8, 9, 10), 7, np.float32), ALL, (example_channel(),), (True,)).any()
