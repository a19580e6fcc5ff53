"""Resampling against scipy on random volumes, and against nnU-Net's published rules."""

import numpy as np
import pytest
from scipy import ndimage

from autoseg.preprocessing.interpolation import interpolation
from autoseg.preprocessing.resample import new_shape_for, resample_image, resample_label, separate_axis

ISOTROPIC = (1.0, 1.0, 1.0)


def zoom(array: np.ndarray, new_shape: tuple[int, ...], order: int) -> np.ndarray:
    factors = [n / o for n, o in zip(new_shape, array.shape, strict=True)]
    return ndimage.zoom(array.astype(np.float64), factors, order=order, mode="nearest", grid_mode=True)


@pytest.mark.parametrize(
    ("shape", "new_shape"),
    [
        ((20, 30, 25), (31, 17, 40)),
        ((20, 30, 25), (20, 60, 13)),
        ((20, 30, 25), (20, 30, 26)),
        ((1, 30, 25), (1, 15, 50)),
        ((1, 9, 2), (3, 5, 4)),
        ((2, 3, 4), (9, 9, 9)),
        ((40, 8, 90), (3, 8, 200)),
        ((64, 65, 66), (70, 33, 1)),
    ],
)
def test_images_are_resampled_as_scipy_does(shape, new_shape) -> None:
    image = np.random.default_rng(3).normal(50, 10, (2, *shape)).astype(np.float32)
    out = resample_image(image, ISOTROPIC, new_shape, ISOTROPIC)
    assert out.dtype == np.float32 and out.shape == (2, *new_shape)
    for channel, resampled in zip(image, out, strict=True):
        np.testing.assert_allclose(resampled, zoom(channel, new_shape, 3), atol=1e-5 * channel.std())


def test_slabs_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoseg.preprocessing.resample.SLAB_BYTES", 4 * 40 * 40 * 3)
    image = np.random.default_rng(3).normal(0, 1, (1, 50, 40, 40)).astype(np.float32)
    for new_shape in ((77, 33, 40), (21, 40, 37)):
        out = resample_image(image, ISOTROPIC, new_shape, ISOTROPIC)
        np.testing.assert_allclose(out[0], zoom(image[0], new_shape, 3), atol=1e-5)


def test_a_size_that_stays_is_not_touched() -> None:
    image = np.random.default_rng(3).normal(0, 1, (1, 6, 7, 8)).astype(np.float32)
    assert resample_image(image, (2.0, 1.0, 1.0), (6, 7, 8), ISOTROPIC) is image


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_coarse_axis_is_taken_from_the_nearest_plane(axis: int) -> None:
    """nnU-Net: third order within the planes, order 0 (map_coordinates, mode nearest) across them."""
    shape, new_shape, spacing = [9, 30, 30], [14, 21, 44], [5.0, 1.0, 1.0]
    for values in (shape, new_shape, spacing):
        values.insert(axis, values.pop(0))
    image = np.random.default_rng(3).normal(0, 1, shape).astype(np.float32)
    in_plane = zoom(image, tuple(9 if a == axis else n for a, n in enumerate(new_shape)), 3)
    grid = np.indices(new_shape).astype(float)
    grid[axis] = (grid[axis] + 0.5) * 9 / 14 - 0.5
    expected = ndimage.map_coordinates(in_plane, grid, order=0, mode="nearest")
    out = resample_image(image[None], tuple(spacing), tuple(new_shape), ISOTROPIC)
    np.testing.assert_allclose(out[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("spacing", "new_spacing", "expected"),
    [
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), None),
        ((3.0, 1.0, 1.0), (1.0, 1.0, 1.0), None),  # three times is not yet more than three times
        ((3.1, 1.0, 1.0), (1.0, 1.0, 1.0), 0),
        ((1.0, 1.0, 1.0), (1.0, 5.0, 1.0), 1),
        ((1.0, 1.0, 5.0), (5.0, 1.0, 1.0), 2),  # the present grid decides before the new one
        ((0.24, 1.25, 1.25), (1.0, 1.0, 1.0), None),  # two coarse axes
        ((0.24, 1.25, 1.25), (5.0, 1.0, 1.0), None),
    ],
)
def test_which_axis_is_treated_apart(spacing, new_spacing, expected) -> None:
    assert separate_axis(spacing, new_spacing) == expected


def test_new_shapes_cover_the_same_extent() -> None:
    assert new_shape_for((10, 100, 33), (5.0, 0.5, 1.0), (2.5, 1.0, 1.5)) == (20, 50, 22)
    assert new_shape_for((1, 1, 1), (1.0, 1.0, 1.0), (9.0, 9.0, 9.0)) == (1, 1, 1)


def blobs(shape: tuple[int, int, int], classes: int) -> np.ndarray:
    rng = np.random.default_rng(11)
    fields = [ndimage.gaussian_filter(rng.standard_normal(shape), 2) for _ in range(classes)]
    return np.argmax(fields, axis=0).astype(np.uint8)


@pytest.mark.parametrize("new_shape", [(33, 20, 41), (12, 15, 13), (24, 60, 26)])
@pytest.mark.parametrize("classes", [2, 5])
def test_labels_follow_nnunets_rule_where_a_class_has_half(new_shape, classes: int) -> None:
    label = blobs((24, 30, 26), classes)
    indicators = np.stack([zoom(label == k, new_shape, 1) for k in range(classes)])
    out = resample_label(label, ISOTROPIC, new_shape, ISOTROPIC)
    expected = np.zeros(new_shape, np.uint8)
    for k in range(classes):
        expected[indicators[k] >= 0.5] = k
    # a millionth around one half is left to rounding
    decided = (np.sort(indicators, axis=0)[-1] > 0.5 + 1e-6) | (indicators[classes - 1] == 0.5)
    assert decided.mean() > 0.8
    np.testing.assert_array_equal(out[decided], expected[decided])
    # elsewhere it is one of the classes with the largest share, never one made up
    chosen = np.take_along_axis(indicators, out[None].astype(int), axis=0)[0]
    np.testing.assert_allclose(chosen, indicators.max(axis=0), atol=1e-6)


def test_no_class_appears_between_two_others() -> None:
    """Averaging the numbers 1 and 3 would invent a rim of class 2."""
    label = np.ones((16, 16, 16), np.uint8)
    label[:, :, 8:] = 3
    out = resample_label(label, ISOTROPIC, (16, 16, 37), ISOTROPIC)
    assert set(np.unique(out)) == {1, 3}
    assert abs(int((out == 3).sum()) / out.size - 0.5) < 0.02


def test_labels_of_slabs_join(monkeypatch: pytest.MonkeyPatch) -> None:
    label = blobs((40, 20, 22), 4)
    at_once = resample_label(label, ISOTROPIC, (61, 30, 15), ISOTROPIC)
    monkeypatch.setattr("autoseg.preprocessing.resample.SLAB_BYTES", 4 * 30 * 22 * 3)
    np.testing.assert_array_equal(resample_label(label, ISOTROPIC, (61, 30, 15), ISOTROPIC), at_once)


def test_labels_along_a_coarse_axis_are_copied_plane_by_plane() -> None:
    label = blobs((8, 20, 20), 3)
    out = resample_label(label, (6.0, 1.0, 1.0), (16, 20, 20), (3.0, 1.0, 1.0))
    np.testing.assert_array_equal(out, np.repeat(label, 2, axis=0))


@pytest.mark.parametrize("new_shape", [(80, 60, 50), (20, 25, 30)])
def test_a_ball_keeps_its_volume_and_place(new_shape) -> None:
    z, y, x = np.ogrid[:40, :40, :40]
    label = ((z - 18) ** 2 + (y - 20) ** 2 + (x - 15) ** 2 < 12**2).astype(np.uint8)
    out = resample_label(label, ISOTROPIC, new_shape, tuple(40 / n for n in new_shape))
    voxel = 40**3 / np.prod(new_shape)
    assert abs(out.sum() * voxel / label.sum() - 1) < 0.02
    centre = (np.argwhere(out).mean(axis=0) + 0.5) * 40 / np.array(new_shape) - 0.5
    np.testing.assert_allclose(centre, (18, 20, 15), atol=0.1)


def test_the_matrix_is_banded() -> None:
    narrow = interpolation(400, 300, 3)
    assert (narrow.last - narrow.first).max() < 40
    # a constant stays one
    np.testing.assert_allclose(narrow.matrix.sum(axis=1), 1, atol=1e-6)
