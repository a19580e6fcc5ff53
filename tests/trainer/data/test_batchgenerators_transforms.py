"""Transforms of batchgenerators beside the library itself on the same seed, geometry by hand, the global generators."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from batchgenerators.transforms.color_transforms import (
    BrightnessMultiplicativeTransform,
    ContrastAugmentationTransform,
    GammaTransform,
)
from batchgenerators.transforms.noise_transforms import GaussianBlurTransform, GaussianNoiseTransform
from batchgenerators.transforms.resample_transforms import SimulateLowResolutionTransform
from batchgenerators.transforms.spatial_transforms import MirrorTransform, SpatialTransform
from pydantic import ValidationError

from autoseg.image.geometry import Shape
from autoseg.plan.configuration import Training
from tests.example_record import example_geometry, example_record
from tests.trainer.cases import make_configuration, write_noise_case
from tests.trainer.data.test_augmentation import Recorder
from tests.trainer.data.test_batches import load, same
from trainer.data import batchgenerators_transforms as transforms
from trainer.data.augmentation import augmented_patch
from trainer.data.sampling import Place

SHAPE = (24, 28, 32)
PATCH = (10, 12, 14)
CENTRE = Place((6, 8, 10), (11.0, 13.0, 15.0))
PROBABILITIES = (
    *("ROTATION_PROBABILITY", "SCALING_PROBABILITY", "NOISE", "BLUR", "BRIGHTNESS", "CONTRAST"),
    *("LOW_RESOLUTION", "INVERTED_GAMMA", "GAMMA"),
)
SIDES = ((0.75, 1.25), (0.7, 1.5))
OF_THE_LIBRARY = {
    "NOISE": GaussianNoiseTransform((0, 0.1)),
    "BLUR": GaussianBlurTransform((0.5, 1.0), different_sigma_per_axis=True, p_per_channel=0.5),
    "BRIGHTNESS": BrightnessMultiplicativeTransform(SIDES[0]),
    "CONTRAST": ContrastAugmentationTransform(SIDES[0]),
    "LOW_RESOLUTION": SimulateLowResolutionTransform(
        (0.5, 1), True, 0.5, order_downsample=0, order_upsample=1, ignore_axes=()
    ),
    "INVERTED_GAMMA": GammaTransform(SIDES[1], True, True, retain_stats=True),
    "GAMMA": GammaTransform(SIDES[1], False, True, retain_stats=True),
}


@pytest.fixture
def noise() -> Recorder:
    rng = np.random.default_rng(0)
    label = rng.choice(np.array([0, 1, 3, 7], np.uint8), SHAPE)
    return Recorder(rng.standard_normal((2, *SHAPE)).astype(np.float32), label)


@pytest.fixture
def only(monkeypatch) -> Callable[..., None]:
    """Function that makes the named transforms certain and all others impossible."""

    def make(*certain: str) -> None:
        for name in PROBABILITIES:
            monkeypatch.setattr(transforms, name, float(name in certain))

    return make


def settings(training: Callable[..., Training], **changes: object) -> Training:
    usual = {"rotation": (30.0, 30.0, 30.0), "scaling": (0.7, 1.4), "elastic": 0.0, "mirror": ()}
    return training(augmentation="batchgenerators", **usual | changes)


def patch_of(read: Recorder, plan: Training, seed: int = 3, **options: object) -> tuple[np.ndarray, np.ndarray]:
    record = example_record(example_geometry(read.label.shape), present=(True,) * len(read.image))
    where: dict = {"place": CENTRE, "patch_size": PATCH, "rngs": generators(seed), "training": plan} | options
    return augmented_patch(read, record, **where)


def generators(seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    return np.random.default_rng(seed), np.random.default_rng(seed + 1000)


def seed_globally(rng: np.random.Generator) -> None:
    words = rng.integers(0, 2**32, 4, dtype=np.uint32)
    np.random.seed(words)
    random.seed(words.tobytes())


def cut(array: np.ndarray, place: Place = CENTRE, size: Shape = PATCH) -> np.ndarray:
    box = tuple(slice(first, first + length) for first, length in zip(place.lower, size, strict=True))
    return array[(..., *box)].copy()


@pytest.mark.parametrize(("place", "name"), list(enumerate(OF_THE_LIBRARY)))
def test_each_transform_of_intensities_is_the_librarys_own(noise, training, only, place: int, name: str) -> None:
    only(name)
    changed = set()
    for seed in range(6):
        image, label = patch_of(noise, settings(training), seed)
        with transforms.global_generators_kept():
            seed_globally(generators(seed)[1])
            # each transform before it has drawn whether it is applied
            np.random.uniform(size=place)
            expected = OF_THE_LIBRARY[name](data=cut(noise.image)[None])["data"][0]
        np.testing.assert_array_equal(image, expected)
        np.testing.assert_array_equal(label, cut(noise.label))
        changed |= {(channel, not np.array_equal(image[channel], cut(noise.image)[channel])) for channel in (0, 1)}
    assert {(0, True), (1, True)} <= changed


def librarys_spatial(rotation: tuple[float, ...], size: tuple[int, ...], rotated: int, scaled: int) -> SpatialTransform:
    limits = zip(("angle_x", "angle_y", "angle_z"), np.deg2rad(rotation), strict=False)
    return SpatialTransform(
        size,
        None,
        do_elastic_deform=False,
        **{name: (-limit, limit) for name, limit in limits},
        scale=(1 / 1.4, 1 / 0.7),
        p_rot_per_sample=rotated,
        p_scale_per_sample=scaled,
        border_mode_data="constant",
        order_data=1,
        order_seg=1,
        random_crop=False,
    )


@pytest.mark.parametrize(("rotated", "scaled"), [(0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("place", [CENTRE, Place((-3, 18, 0), (3.0, 20.0, 4.0))])
def test_rotation_and_scaling_are_the_librarys_own_on_the_whole_case(
    noise, training, only, rotated: int, scaled: int, place: Place
) -> None:
    only(*(["ROTATION_PROBABILITY"] * rotated + ["SCALING_PROBABILITY"] * scaled))
    # the case within zeros, cut so that its middle is the middle of the patch: larger than any transform reaches
    margin = 30
    image = np.pad(noise.image, [(0, 0)] + [(40, 40)] * 3)
    label = np.pad(noise.label, 40)
    wide = Place((place.lower[0] + 10, place.lower[1] + 10, place.lower[2] + 10), place.pivot)
    size = (PATCH[0] + 2 * margin, PATCH[1] + 2 * margin, PATCH[2] + 2 * margin)
    for seed in range(5):
        found, found_label = patch_of(noise, settings(training), seed, place=place)
        with transforms.global_generators_kept():
            seed_globally(generators(seed)[0])
            library = librarys_spatial((30.0, 30.0, 30.0), PATCH, rotated, scaled)
            expected = library(data=cut(image, wide, size)[None], seg=cut(label, wide, size)[None, None])
        np.testing.assert_allclose(found, expected["data"][0], atol=1e-5)
        np.testing.assert_array_equal(found_label, expected["seg"][0, 0])
        assert not np.array_equal(found, cut(np.pad(noise.image, [(0, 0)] + [(5, 5)] * 3), shifted(place, 5)))


def shifted(place: Place, by: int) -> Place:
    return Place((place.lower[0] + by, place.lower[1] + by, place.lower[2] + by), place.pivot)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_marker_lands_where_a_rotation_takes_it(training, only, monkeypatch, axis: int) -> None:
    """A quarter turn about one axis: within slices, so exactly two positions are possible for either sign."""
    only("ROTATION_PROBABILITY")
    rotation = tuple(90.0 if a == axis else 0.0 for a in range(3))
    real = np.random.uniform
    monkeypatch.setattr(np.random, "uniform", lambda low=0.0, high=1.0, size=None: real(high, high, size))
    within = [a for a in range(3) if a != axis]
    read = Recorder(np.zeros((1, 31, 31, 31), np.float32), np.zeros((31, 31, 31), np.uint8))
    marker = [15, 15, 15]
    marker[within[0]], marker[within[1]], marker[axis] = 15 + 4, 15 + 2, 15 + 1
    read.image[(0, *marker)], read.label[tuple(marker)] = 5.0, 3
    place = Place((10, 10, 10), (15.0, 15.0, 15.0))
    # the largest angle: probabilities of 1 are drawn as 1, which is not below 1
    monkeypatch.setattr(transforms, "ROTATION_PROBABILITY", 2.0)
    image, label = patch_of(
        read, settings(training, rotation=rotation, scaling=(1.0, 1.0)), place=place, patch_size=(11,) * 3
    )
    # (a, b) about the middle becomes (b, -a) or (-b, a), and stays in its slice
    (found,) = np.argwhere(image[0] > 4.9) - 5
    assert found[axis] == 1
    assert (found[within[0]], found[within[1]]) in ((2, -4), (-2, 4))
    assert label[tuple(found + 5)] == 3 and (label > 0).sum() == 1


@pytest.mark.parametrize(("zoom", "apart"), [((2.0, 2.0), 4), ((0.5, 0.5), 1)])
def test_a_zoom_is_how_much_larger_structures_appear(training, only, monkeypatch, zoom, apart: int) -> None:
    only("SCALING_PROBABILITY")
    # a range without 1 is refused in a plan, and makes the zoom certain here
    plan = settings(training).model_copy(update={"scaling": zoom})
    monkeypatch.setattr(np.random, "random", lambda size=None: 1.0)
    real = np.random.uniform
    monkeypatch.setattr(np.random, "uniform", lambda low=0.0, high=1.0, size=None: real(high, high, size))
    monkeypatch.setattr(transforms, "SCALING_PROBABILITY", 2.0)
    read = Recorder(np.zeros((1, 41, 41, 41), np.float32), np.zeros((41, 41, 41), np.uint8))
    read.image[0, 20, 20, 22] = 1.0
    place = Place((15, 15, 15), (20.0, 20.0, 20.0))
    image, _ = patch_of(read, plan, place=place, patch_size=(11, 11, 11))
    assert tuple(np.argwhere(image[0] == 1.0)[0] - 5) == (0, 0, apart)


def test_the_label_keeps_to_its_values_and_nothing_is_left_out(noise, training) -> None:
    flips = set()
    for seed in range(40):
        image, label = patch_of(noise, settings(training, mirror=(0, 1, 2)), seed)
        assert set(np.unique(label)) <= {0, 1, 3, 7}
        assert (image.dtype, image.shape, label.dtype, label.shape) == (np.float32, (2, *PATCH), np.uint8, PATCH)
        assert np.isfinite(image).all()
        for axes in ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)):
            if np.array_equal(np.flip(label, axes), cut(noise.label)):
                flips.add(axes)
    assert len(flips) >= 6


def test_mirroring_is_the_librarys_own(noise, training, only) -> None:
    only()
    for seed in range(5):
        image, label = patch_of(noise, settings(training, mirror=(0, 2)), seed)
        with transforms.global_generators_kept():
            rng = generators(seed)[0]
            rng.integers(0, 2**32, 4, dtype=np.uint32)
            seed_globally(rng)
            flipped = MirrorTransform((0, 2))(data=cut(noise.image)[None], seg=cut(noise.label)[None, None])
        np.testing.assert_array_equal(image, flipped["data"][0])
        np.testing.assert_array_equal(label, flipped["seg"][0, 0])


def test_absent_channels_stay_exactly_zero_and_others_are_changed(noise, training) -> None:
    noise.image[1] = 0
    for seed in range(20):
        image, _ = patch_of(noise, settings(training, contrast_maps=0.5), seed, present=(True, False))
        assert not image[1].any() and image[0].any()


def test_contrast_maps_are_drawn_beside_the_library(noise, training, only) -> None:
    only()
    without, _ = patch_of(noise, settings(training))
    mapped, label = patch_of(noise, settings(training, contrast_maps=1.0))
    np.testing.assert_array_equal(without, cut(noise.image))
    np.testing.assert_array_equal(label, cut(noise.label))
    for before, after in zip(without, mapped, strict=True):
        assert not np.array_equal(before, after)
        assert after.mean() != pytest.approx(before.mean(), abs=1e-6)


@pytest.mark.parametrize("rotation", [(180.0, 0.0, 0.0), (0.0, 0.0, 180.0)])
def test_slices_of_thin_patches_stay_apart(training, rotation) -> None:
    ramps = Recorder(np.indices((60, 60, 60)).astype(np.float32), np.zeros((60, 60, 60), np.uint8))
    across = rotation.index(180.0)
    place = Place((25, 25, 25), (30.0, 30.0, 30.0))
    turned = 0
    for seed in range(20):
        # no channel changes its intensities
        image, _ = patch_of(ramps, settings(training, rotation=rotation), seed, place=place, present=(False,) * 3)
        along = np.moveaxis(image[across], across, 0)
        expected = 25 + np.arange(PATCH[across])
        np.testing.assert_allclose(along, np.broadcast_to(expected[:, None, None], along.shape), atol=1e-4)
        turned += not np.allclose(image, cut(ramps.image, place))
    assert 0 < turned < 20


@pytest.mark.parametrize("halo", [(0, 0, 0), (2, 0, 0)])
def test_a_slice_gets_the_same_with_neighbours_and_nothing_of_them(training, only, halo: Shape) -> None:
    """Blur, resolution and rotation of a slice do not see its neighbours, and these get the same draws."""
    rng = np.random.default_rng(1)
    one = rng.standard_normal((1, 30, 30)).astype(np.float32)
    # every slice is the same image, but for its brightness
    factors = np.arange(1, 13, dtype=np.float32)
    read = Recorder((one * factors[:, None, None])[None], np.ones((12, 30, 30), np.uint8))
    only("ROTATION_PROBABILITY", "SCALING_PROBABILITY", "BLUR", "LOW_RESOLUTION")
    plan = settings(training, rotation=(180.0, 0.0, 0.0), mirror=(1, 2))
    place, size = Place((5, 6, 6), (5.0, 15.0, 15.0)), (1, 18, 18)
    for seed in range(8):
        image, label = patch_of(read, plan, seed, place=place, patch_size=size, halo=halo)
        assert image.shape == (1, 1 + 2 * halo[0], 18, 18) and label.shape == size
        first = image[0, 0] / factors[5 - halo[0]]
        for row, slice_ in enumerate(image[0]):
            np.testing.assert_allclose(slice_ / factors[5 - halo[0] + row], first, atol=1e-5)


def test_the_global_generators_are_put_back_also_after_an_error(noise, training) -> None:
    np.random.seed(5)
    random.seed(5)
    before = np.random.get_state(legacy=False), random.getstate()
    patch_of(noise, settings(training, mirror=(0, 1, 2)))
    np.testing.assert_equal(np.random.get_state(legacy=False), before[0])
    assert random.getstate() == before[1]

    def fails(lower: Shape, upper: Shape) -> tuple[np.ndarray, np.ndarray]:
        raise RuntimeError("no such box")

    with pytest.raises(RuntimeError, match="no such box"):
        patch_of_reader(fails, settings(training))
    np.testing.assert_equal(np.random.get_state(legacy=False), before[0])
    assert random.getstate() == before[1]


def patch_of_reader(read: Callable, plan: Training) -> tuple[np.ndarray, np.ndarray]:
    record = example_record(example_geometry(SHAPE), present=(True, True))
    return augmented_patch(read, record, CENTRE, PATCH, plan, generators(0))


def test_the_global_generators_before_do_not_matter(noise, training) -> None:
    plan = settings(training, mirror=(0, 1, 2))
    with transforms.global_generators_kept():
        random.seed(1)
        first = [patch_of(noise, plan, seed) for seed in range(10)]
        random.seed(2)
        np.random.seed(2)
        again = [patch_of(noise, plan, seed) for seed in range(10)]
    for (image, label), (other, other_label) in zip(first, again, strict=True):
        np.testing.assert_array_equal(image, other)
        np.testing.assert_array_equal(label, other_label)
    assert len({image.tobytes() for image, _ in first}) > 5


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    for number in range(3):
        write_noise_case(tmp_path / f"case{number}", (12, 16, 20), seed=number, present=(True, True))
    return [tmp_path / f"case{number}" for number in range(3)]


def by_batchgenerators(**training: object):
    return make_configuration((8, 12, 12), augmentation="batchgenerators", **training)


def test_a_step_is_the_same_wherever_training_begins(folders: list[Path]) -> None:
    configuration = by_batchgenerators(sequence_dropout=0.5, pasted_lesions=0.5)
    whole = load(folders, configuration)
    assert same(load(folders, configuration, first_step=4), whole[4:])
    assert same(load(folders[::-1], configuration, cache_bytes=0), whole)
    assert not same(load(folders, configuration, seed=4), whole)
    assert not same(load(folders, configuration.changed(training=make_configuration((8, 12, 12)).training)), whole)
    assert len({batch.image[place].numpy().tobytes() for batch in whole for place in range(2)}) == 12


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "start_method"), [(1, "spawn"), (2, "spawn"), (2, "fork")])
def test_bits_do_not_depend_on_the_workers(folders: list[Path], workers: int, start_method: str) -> None:
    configuration = by_batchgenerators()
    alone = load(folders, configuration)
    assert same(load(folders, configuration, workers=workers, start_method=start_method), alone)


def test_what_the_library_cannot_do_is_refused_in_a_plan(training) -> None:
    with pytest.raises(ValidationError, match=r"elastic = 0\.2: 0 with augmentation: batchgenerators"):
        settings(training, elastic=0.2)
    with pytest.raises(ValidationError, match="contains 1 with augmentation: batchgenerators"):
        settings(training, scaling=(1.1, 1.4))
    assert settings(training, scaling=(1.0, 1.0)).scaling == (1.0, 1.0)
