"""Every transform of a device gives what the CPU's gives with the same parameters, and noise has what was drawn."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from trainer.data import contrast, device_augmentation, intensity
from trainer.data.contrast import ContrastMap
from trainer.data.intensity import SeededNoise, draw_intensity

RISING, FALLING = ContrastMap((0.0, 0.5, 0.6, 0.6, 1.0)), ContrastMap((1.0, 0.7, 0.4, 0.3, 0.0))
LOGARITHM = np.random.default_rng(5).normal(0, 0.25, (4, 4, 4)).astype(np.float32)

Channel = np.ndarray | torch.Tensor
PAIRS: dict[str, tuple[Callable, Callable, tuple]] = {
    "blur": (intensity.blur, device_augmentation.blur, ((0.5, 0.9, 1.0),)),
    "blur within slices": (intensity.blur, device_augmentation.blur, ((0.0, 0.7, 0.6),)),
    "contrast, less": (intensity.change_contrast, device_augmentation.change_contrast, (0.75,)),
    "contrast, more": (intensity.change_contrast, device_augmentation.change_contrast, (1.25,)),
    "resolution": (intensity.lower_resolution, device_augmentation.lower_resolution, (0.6, (0, 1, 2))),
    "resolution within slices": (intensity.lower_resolution, device_augmentation.lower_resolution, (0.5, (1, 2))),
    "gamma": (intensity.change_gamma, device_augmentation.change_gamma, (0.7, False)),
    "gamma, inverted": (intensity.change_gamma, device_augmentation.change_gamma, (1.5, True)),
    "field": (
        contrast.apply_field,
        lambda channel, field: device_augmentation.apply_field(channel, torch.from_numpy(field)),
        (LOGARITHM,),
    ),
    "map, rising": (contrast.apply_map, device_augmentation.apply_map, (RISING,)),
    "map, falling": (contrast.apply_map, device_augmentation.apply_map, (FALLING,)),
}
FLAT = np.full((4, 5, 6), 2.5, np.float32)


def channel_of(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(1.0, 2.0, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(12, 14, 16), (1, 20, 18), (3, 2, 30), (40, 30, 20)])
@pytest.mark.parametrize("name", PAIRS)
def test_it_is_the_transform_of_the_cpu(name: str, shape: tuple[int, ...]) -> None:
    on_cpu, on_device, parameters = PAIRS[name]
    channel = channel_of(shape)
    made = on_device(torch.from_numpy(channel.copy()), *parameters).numpy()
    expected = on_cpu(channel.copy(), *parameters)
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-5 * np.ptp(channel))
    assert made.dtype == np.float32 and np.abs(expected - channel).max() > 0.01


@pytest.mark.parametrize("name", PAIRS)
def test_equal_values_stay_finite_and_as_the_cpu_leaves_them(name: str) -> None:
    on_cpu, on_device, parameters = PAIRS[name]
    made = on_device(torch.from_numpy(FLAT.copy()), *parameters).numpy()
    np.testing.assert_allclose(made, on_cpu(FLAT.copy(), *parameters), rtol=1e-6)


def test_noise_is_gaussian_with_the_drawn_sd_and_follows_its_seed_alone() -> None:
    channel = torch.zeros(24, 30, 28)
    one, again, other = (device_augmentation.draw_noise(channel, SeededNoise(0.08, seed)) for seed in (3, 3, 4))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert kstest(one.numpy().ravel() / 0.08, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(one.numpy().ravel(), other.numpy().ravel())[0, 1]) < 0.05


def test_noise_is_drawn_as_often_and_as_strongly_as_on_the_cpu_and_for_each_channel_apart() -> None:
    def drawn(seed_noise: bool) -> list:
        rngs = [np.random.default_rng(seed) for seed in range(2000)]
        return [draw_intensity(rng, (True, True), (2, 2, 2), (), seed_noise=seed_noise) for rng in rngs]

    fields, seeds = drawn(False), drawn(True)
    assert [bool(one.noise) for one in fields] == [bool(one.seeded) for one in seeds]
    noisy = [one.seeded for one in seeds if one.seeded]
    assert 120 < len(noisy) < 280
    for one in noisy:
        assert one[0].sd == one[1].sd and one[0].seed != one[1].seed and 0 <= one[0].sd <= 0.1
    assert len({one[0].seed for one in noisy}) == len(noisy)
    # all that is drawn before noise, and all of patches without it, is the same
    for one, other in zip(fields, seeds, strict=True):
        if not one.noise:
            assert one == other


def test_channels_without_an_entry_are_not_changed() -> None:
    image = torch.from_numpy(channel_of((2, 6, 7, 8)))
    before = image.clone()
    for seed in range(60):
        device_augmentation.change_intensity(
            image, draw_intensity(np.random.default_rng(seed), (True, False), (6, 7, 8), (0, 1, 2), seed_noise=True)
        )
    assert torch.equal(image[1], before[1]) and not torch.equal(image[0], before[0])
    assert bool(torch.isfinite(image).all())
