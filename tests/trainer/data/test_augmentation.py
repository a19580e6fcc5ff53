from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import affine_transform
from scipy.stats import binomtest

from autoseg.image.geometry import Shape
from autoseg.plan.configuration import Training
from tests.example_record import example_geometry, example_record
from trainer.data.augmentation import augmented_patch, plain_patch
from trainer.data.sampling import Place
from trainer.data.spatial import (
    SpatialTransform,
    affine_matrix,
    cut_patch,
    draw_spatial,
    elastic_displacement,
    resampled_axes,
)

SHAPE = (24, 28, 32)
PATCH = (11, 11, 11)
CENTRE = Place((6, 8, 10), (11.0, 13.0, 15.0))


class Recorder:
    """Reads boxes of arrays as the trainer does, and keeps which."""

    def __init__(self, image: np.ndarray, label: np.ndarray) -> None:
        self.image, self.label = image, label
        self.boxes: list[tuple[Shape, Shape]] = []

    def __call__(self, lower: Shape, upper: Shape) -> tuple[np.ndarray, np.ndarray]:
        self.boxes.append((lower, upper))
        box = tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))
        return self.image[(slice(None), *box)].copy(), self.label[box].copy()


@pytest.fixture
def noise() -> Recorder:
    rng = np.random.default_rng(0)
    return Recorder(rng.standard_normal((2, *SHAPE)).astype(np.float32), rng.integers(0, 4, SHAPE).astype(np.uint8))


@pytest.fixture
def ramps() -> Recorder:
    """Channels that hold each voxel's own (z, y, x), so that a patch shows where it was sampled."""
    rng = np.random.default_rng(0)
    return Recorder(np.indices((60, 60, 60)).astype(np.float32), rng.integers(0, 4, (60, 60, 60)).astype(np.uint8))


MIDDLE = Place((22, 20, 24), (26.0, 27.0, 29.0))


def test_without_a_transform_the_patch_is_exactly_what_is_stored(noise: Recorder) -> None:
    image, label = plain_patch(noise, example_record(example_geometry(SHAPE), present=(True, True)), CENTRE, PATCH)
    np.testing.assert_array_equal(image, noise.image[:, 6:17, 8:19, 10:21])
    np.testing.assert_array_equal(label, noise.label[6:17, 8:19, 10:21])
    assert noise.boxes == [((6, 8, 10), (17, 19, 21))]


def test_outside_the_image_there_is_zero_and_background(noise: Recorder) -> None:
    place = Place((-2, 20, -5), (3.0, 25.0, 10.0))
    image, label = plain_patch(
        noise, example_record(example_geometry(SHAPE), present=(True, True)), place, (12, 11, 40)
    )
    padding = ((2, 0), (0, 3), (5, 3))
    np.testing.assert_array_equal(image, np.pad(noise.image[:, :10, 20:], ((0, 0), *padding)))
    np.testing.assert_array_equal(label, np.pad(noise.label[:10, 20:], padding))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_equal_rot90(noise: Recorder, axis: int, turns: int) -> None:
    angles = [0.0, 0.0, 0.0]
    angles[axis] = 90.0 * turns
    matrix = affine_matrix((angles[0], angles[1], angles[2]), 1.0, (1.0, 1.0, 1.0))
    image, label = cut_patch(noise, SHAPE, CENTRE, PATCH, SpatialTransform((0, 1, 2), matrix))
    first, second = (a for a in range(3) if a != axis)
    expected = np.rot90(noise.image[:, 6:17, 8:19, 10:21], turns, (first + 1, second + 1))
    np.testing.assert_allclose(image, expected, atol=2e-5)
    np.testing.assert_array_equal(label, np.rot90(noise.label[6:17, 8:19, 10:21], turns, (first, second)))


@pytest.mark.parametrize("place", [CENTRE, Place((0, 0, 0), (2.0, 9.0, 3.0)), Place((-4, 17, 21), (3.0, 20.0, 29.0))])
def test_resampling_agrees_with_scipy(noise: Recorder, place: Place) -> None:
    matrix = affine_matrix((20.0, -13.0, 31.0), 0.8, (2.0, 1.0, 0.7))
    image, label = cut_patch(noise, SHAPE, place, PATCH, SpatialTransform((0, 1, 2), matrix))
    pivot = np.asarray(place.pivot)
    offset = pivot - matrix @ (pivot - np.asarray(place.lower))
    kept = {"offset": offset, "output_shape": PATCH, "mode": "grid-constant"}
    for channel in range(2):
        expected = affine_transform(noise.image[channel], matrix, order=1, **kept)
        np.testing.assert_allclose(image[channel], expected, atol=1e-4)
    expected_label = affine_transform(noise.label, matrix, order=0, **kept)
    assert np.mean(label == expected_label) > 0.999  # a voxel may lie on the edge between two


def test_rotation_and_zoom_act_in_millimetres() -> None:
    spacing = np.array([3.0, 1.0, 0.5])
    matrix = affine_matrix((25.0, 10.0, -40.0), 1.25, (3.0, 1.0, 0.5))
    in_mm = spacing[:, None] * matrix / spacing[None, :] * 1.25
    np.testing.assert_allclose(in_mm @ in_mm.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(in_mm) == pytest.approx(1)


def test_only_the_region_that_the_transform_reaches_is_read(ramps: Recorder) -> None:
    matrix = affine_matrix((0.0, 0.0, 0.0), 0.5, (1.0, 1.0, 1.0))
    cut_patch(ramps, (60, 60, 60), MIDDLE, PATCH, SpatialTransform((0, 1, 2), matrix))
    # twice the steps to either side of the pivot, which lies 4, 7 and 5 voxels into the patch
    assert ramps.boxes == [((18, 13, 19), (39, 34, 40))]


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2), (0, 2), (0, 1), (0,), (1,), (2,)])
def test_image_and_label_stay_aligned_and_the_pivot_in_place(ramps: Recorder, axes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(5)
    matrix = affine_matrix((25.0, 18.0, -21.0), 0.9, (1.0, 1.0, 1.0))[np.ix_(axes, axes)]
    transform = SpatialTransform(axes, matrix, elastic_displacement(rng, tuple(PATCH[a] for a in axes)))
    image, label = cut_patch(ramps, (60, 60, 60), MIDDLE, PATCH, transform)
    np.testing.assert_allclose(image[:, 4, 7, 5], MIDDLE.pivot, atol=1e-4)
    assert label[4, 7, 5] == ramps.label[26, 27, 29]
    sampled = np.rint(image).astype(int)
    assert np.mean(label == ramps.label[tuple(sampled)]) > 0.999
    for axis in set(range(3)) - set(axes):
        along = np.moveaxis(image[axis], axis, 0)
        expected = MIDDLE.lower[axis] + np.arange(PATCH[axis])
        np.testing.assert_allclose(along, np.broadcast_to(expected[:, None, None], along.shape), atol=1e-4)


def test_one_rotating_axis_means_independent_slices() -> None:
    assert resampled_axes((180.0, 0.0, 0.0), (32, 112, 112)) == (1, 2)
    assert resampled_axes((0.0, 0.0, 30.0), (96, 96, 32)) == (0, 1)
    assert resampled_axes((30.0, 30.0, 30.0), (40, 56, 40)) == (0, 1, 2)
    assert resampled_axes((0.0, 0.0, 0.0), (40, 56, 40)) == (0, 1, 2)
    assert resampled_axes((15.0, 15.0, 15.0), (40, 1, 40)) == (0, 2)


def test_elastic_deformation_never_folds() -> None:
    for seed in range(30):
        field = elastic_displacement(np.random.default_rng(seed), (20, 30, 25))
        positions = np.indices((20, 30, 25)) + field
        jacobian = np.stack([np.stack(np.gradient(along)) for along in positions])
        assert np.linalg.det(np.moveaxis(jacobian, (0, 1), (-2, -1))).min() > 0
        assert np.abs(field).max() > 0


def test_transforms_are_drawn_as_often_and_as_far_as_planned(training: Callable[..., Training]) -> None:
    settings = training(rotation=(30.0, 20.0, 10.0), scaling=(0.7, 1.4), elastic=0.0)
    rng = np.random.default_rng(6)
    transforms = [draw_spatial(rng, settings, PATCH, (1.0, 1.0, 1.0)) for _ in range(2000)]
    moved = [t.matrix for t in transforms if t.axes]
    assert binomtest(len(moved), 2000, 1 - 0.8 * 0.8).pvalue > 1e-3
    zooms = np.array([np.linalg.det(m) ** (-1 / 3) for m in moved])
    assert 0.7 <= zooms.min() < 0.75
    assert 1.35 < zooms.max() <= 1.4
    rotations = [m * z for m, z in zip(moved, zooms, strict=True)]
    # Euler angles of Rz Ry Rx, largest found just below the largest planned
    about_z = [np.arctan2(r[1, 2], r[2, 2]) for r in rotations]
    about_y = [np.arcsin(r[0, 2]) for r in rotations]
    about_x = [np.arctan2(r[0, 1], r[0, 0]) for r in rotations]
    for angles, limit in ((about_z, 30), (about_y, 20), (about_x, 10)):
        assert binomtest(int(np.sum(np.abs(angles) > 1e-6)), 2000, 0.2).pvalue > 1e-3
        assert 0.95 * limit < np.rad2deg(np.abs(angles)).max() <= limit + 1e-6
    assert not any(t.axes for t in (draw_spatial(rng, settings, (1, 1, 1), (1.0, 1.0, 1.0)) for _ in range(100)))


def test_mirroring_flips_each_allowed_axis_half_of_the_time(ramps: Recorder, training: Callable[..., Training]) -> None:
    settings = training(rotation=(0.0, 0.0, 0.0), scaling=(1.0, 1.0), mirror=(0, 2))
    # no channel changes its intensities
    record = example_record(example_geometry((60, 60, 60)), present=(False, False, False))
    flips = np.zeros(3, int)
    for seed in range(300):
        rngs = (np.random.default_rng(seed), np.random.default_rng(seed + 1000))
        image, label = augmented_patch(ramps, record, MIDDLE, PATCH, settings, rngs)
        assert np.mean(label == ramps.label[tuple(np.rint(image).astype(int))]) > 0.999
        corner = image[:, 0, 0, 0]
        far = image[:, -1, -1, -1]
        flips += corner > far
    assert flips[1] == 0
    assert all(binomtest(int(flips[axis]), 300, 0.5).pvalue > 1e-3 for axis in (0, 2))


def test_absent_channels_stay_exactly_zero(noise: Recorder, training: Callable[..., Training]) -> None:
    noise.image[1] = 0
    record = example_record(example_geometry(SHAPE), present=(True, False))
    for seed in range(60):
        rngs = (np.random.default_rng(seed), np.random.default_rng(seed + 1000))
        image, label = augmented_patch(noise, record, CENTRE, PATCH, training(elastic=0.5), rngs)
        assert not image[1].any()
        assert image[0].any()
        assert image.shape == (2, *PATCH)
        assert image.dtype == np.float32
        assert label.shape == PATCH
        assert label.dtype == np.uint8
        assert np.isfinite(image).all()


def test_a_two_dimensional_patch_stays_in_its_slice(ramps: Recorder, training: Callable[..., Training]) -> None:
    settings = training(rotation=(0.0, 180.0, 0.0), elastic=0.5)
    record = example_record(example_geometry((60, 60, 60)), present=(False, False, False))
    for seed in range(40):
        rngs = (np.random.default_rng(seed), np.random.default_rng(seed))
        place = Place((20, 33, 20), (27.0, 33.0, 29.0))
        image, _ = augmented_patch(ramps, record, place, (16, 1, 18), settings, rngs)
        assert image.shape == (3, 16, 1, 18)
        np.testing.assert_allclose(image[1], 33, atol=1e-4)
