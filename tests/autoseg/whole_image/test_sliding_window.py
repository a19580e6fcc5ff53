"""Prediction of whole images with functions whose result is known, against a direct computation."""

from itertools import product

import blosc2
import numpy as np
import pytest
import torch

from autoseg.whole_image.sliding_window import predict_probabilities
from autoseg.whole_image.windows import axis_weights, window_starts


def two_classes(patch: torch.Tensor) -> torch.Tensor:
    """A network of single voxels: the first channel is the probability of the second class."""
    return torch.cat([1 - patch[:, :1], patch[:, :1]], dim=1)


def random_image(shape: tuple[int, int, int], channels: int = 1) -> np.ndarray:
    return np.random.default_rng(5).random((channels, *shape), dtype=np.float32)


@pytest.mark.parametrize(
    ("shape", "patch"),
    [
        ((20, 30, 25), (8, 12, 16)),
        ((8, 8, 8), (8, 8, 8)),
        ((5, 30, 9), (8, 12, 16)),
        ((3, 4, 5), (8, 12, 16)),
        ((7, 20, 22), (1, 16, 16)),
        ((20, 7, 22), (16, 1, 16)),
        ((9, 50, 10), (9, 8, 10)),
        ((17, 9, 70), (16, 16, 16)),
    ],
)
@pytest.mark.parametrize("mirror", [(), (0, 1, 2), (1,)])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_network_of_single_voxels_gives_its_input(shape, patch, mirror, batch_size) -> None:
    image = random_image(shape, channels=2)
    out = predict_probabilities(
        two_classes, image, patch_size=patch, classes=2, overlap=0.5, mirror=mirror, batch_size=batch_size
    )
    assert out.dtype == np.float16 and out.shape == (2, *shape)
    np.testing.assert_allclose(out[1], image[0], atol=5e-4)
    np.testing.assert_allclose(out.sum(axis=0, dtype=np.float32), 1, atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "patch"), [((20, 30, 25), (8, 12, 16)), ((6, 33, 18), (8, 12, 16)), ((40, 9, 9), (8, 8, 8))]
)
def test_overlapping_windows_are_averaged_by_their_weights(shape, patch) -> None:
    """A network whose answer depends on the place in the patch, against sums over the whole padded image."""
    ramp = torch.linspace(0, 1, patch[0] * patch[1] * patch[2]).reshape(patch)

    def by_place(batch: torch.Tensor) -> torch.Tensor:
        first = ramp * batch[:, 0].mean(dim=(1, 2, 3), keepdim=True)
        return torch.stack([first, 1 - first], dim=1)

    image = random_image(shape)
    out = predict_probabilities(by_place, image, patch_size=patch, classes=2, overlap=0.5, mirror=())

    padded = [max(n, p) for n, p in zip(shape, patch, strict=True)]
    before = [(m - n) // 2 for m, n in zip(padded, shape, strict=True)]
    inside = tuple(slice(b, b + n) for b, n in zip(before, shape, strict=True))
    big = np.zeros(padded)
    big[inside] = image[0]
    z, y, x = (axis_weights(p).astype(float) for p in patch)
    weights = z[:, None, None] * y[:, None] * x
    total, norm = np.zeros(padded), np.zeros(padded)
    for start in product(*(window_starts(n, p, 0.5) if n > p else (0,) for n, p in zip(padded, patch, strict=True))):
        window = tuple(slice(s, s + p) for s, p in zip(start, patch, strict=True))
        total[window] += weights * ramp.numpy() * big[window].mean()
        norm[window] += weights
    np.testing.assert_allclose(out[0], (total / norm)[inside], atol=1e-3)


def test_mirroring_averages_over_all_combinations() -> None:
    seen = []

    def corner(batch: torch.Tensor) -> torch.Tensor:
        seen.append(batch.numpy().copy())
        probability = torch.zeros_like(batch[:, :1])
        probability[:, :, 0, 0, 0] = 1
        return torch.cat([1 - probability, probability], dim=1)

    image = random_image((4, 4, 4))
    out = predict_probabilities(corner, image, patch_size=(4, 4, 4), classes=2, overlap=0.5, mirror=(0, 2))
    expected = np.zeros((4, 4, 4))
    for z, x in product((0, 3), repeat=2):
        expected[z, 0, x] = 0.25
    np.testing.assert_allclose(out[1], expected, atol=1e-6)
    np.testing.assert_array_equal(seen[3][0, 0], image[0, ::-1, :, ::-1])


def test_an_image_smaller_than_the_patch_is_padded_with_zeros_around_it() -> None:
    seen = []

    def look(batch: torch.Tensor) -> torch.Tensor:
        seen.append(batch.numpy().copy())
        return two_classes(batch)

    image = random_image((3, 8, 8)) + 1
    predict_probabilities(look, image, patch_size=(8, 8, 8), classes=2, overlap=0.5, mirror=())
    assert len(seen) == 1
    np.testing.assert_array_equal(seen[0][0, 0, 2:5], image[0])
    assert not seen[0][0, 0, :2].any() and not seen[0][0, 0, 5:].any()


def test_a_compressed_image_is_read_where_it_is_needed() -> None:
    image = random_image((12, 20, 14))
    stored = blosc2.asarray(image)
    settings = {"patch_size": (8, 8, 8), "classes": 2, "overlap": 0.5, "mirror": ()}
    np.testing.assert_array_equal(
        predict_probabilities(two_classes, stored, **settings), predict_probabilities(two_classes, image, **settings)
    )


def test_progress_counts_windows() -> None:
    told = []
    predict_probabilities(
        two_classes,
        random_image((16, 8, 8)),
        patch_size=(8, 8, 8),
        classes=2,
        overlap=0.5,
        mirror=(),
        batch_size=2,
        on_window=lambda done, total: told.append((done, total)),
    )
    assert told == [(2, 3), (3, 3)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_what_the_cpu_gives() -> None:
    image = random_image((40, 50, 30))
    settings = {"patch_size": (16, 16, 16), "classes": 2, "overlap": 0.5, "mirror": (0,), "batch_size": 2}
    on_gpu = predict_probabilities(two_classes, image, device="cuda", **settings)
    np.testing.assert_allclose(on_gpu, predict_probabilities(two_classes, image, **settings), atol=1e-3)
