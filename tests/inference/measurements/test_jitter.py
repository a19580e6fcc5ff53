"""Jittered images: with other contrast or with noise, the same for the same case."""

import numpy as np
import pytest

from inference.measurements.jitter import AS_IT_IS, JITTERS, Jitter, jittered

IMAGE = np.random.default_rng(0).normal(size=(2, 20, 40, 50)).astype(np.float32)


def changed(jitter: Jitter, present=(True, True), seed=3, case="spine_1") -> np.ndarray:
    before = IMAGE.copy()
    found = jittered(IMAGE, jitter, present, seed=seed, case=case)
    assert np.array_equal(IMAGE, before) and found.dtype == np.float32
    return found


def test_contrast_is_a_factor_on_every_voxel() -> None:
    assert changed(Jitter(contrast=0.8)) == pytest.approx(0.8 * IMAGE)
    assert changed(AS_IT_IS) is IMAGE


def test_noise_is_normal_independent_and_repeatable() -> None:
    noise = changed(Jitter(noise=0.2)) - IMAGE
    assert noise.std() == pytest.approx(0.2, rel=0.01) and abs(noise.mean()) < 0.005
    for other in (noise[1], changed(Jitter(noise=0.2), seed=4)[0] - IMAGE[0], changed(Jitter(noise=0.2), case="b")[0]):
        assert abs(np.corrcoef(noise[0].ravel(), (other - other.mean()).ravel())[0, 1]) < 0.02
    assert np.abs(np.corrcoef(noise[0, 0].ravel(), noise[0, 1].ravel())[0, 1]) < 0.1
    assert np.array_equal(changed(Jitter(noise=0.2)), changed(Jitter(noise=0.2)))


@pytest.mark.parametrize("jitter", JITTERS)
def test_a_sequence_that_was_not_acquired_stays_as_it_is(jitter) -> None:
    found = changed(jitter, present=(False, True))
    assert np.array_equal(found[0], IMAGE[0])
    assert jitter == AS_IT_IS or not np.array_equal(found[1], IMAGE[1])
