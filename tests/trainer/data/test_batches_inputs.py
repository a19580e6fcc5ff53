"""What the network sees of a batch: neighbouring slices, chosen sequences, dropped ones, the availability code."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from autoseg.image.geometry import Shape
from autoseg.plan.configuration import Configuration
from autoseg.plan.network_input import InputLayout, NetworkInput
from tests.example_plan import LABELS
from tests.example_record import example_geometry, example_record
from tests.trainer.cases import make_configuration, write_noise_case
from trainer.data.augmentation import augmented_patch
from trainer.data.batch import Batch
from trainer.data.batches import BatchLoader
from trainer.data.sampling import Place

SHAPE = (6, 16, 20)
NAMES = ("T1", "T2", "STIR")


def layout(places: tuple[int, ...], halo: Shape = (0, 0, 0), *, code: bool = False) -> InputLayout:
    names = tuple(NAMES[place] for place in places)
    offsets = range(-max(halo), max(halo) + 1)
    channels = [NetworkInput(name, offset) for name in names for offset in offsets]
    channels += [NetworkInput(name, kind="availability") for name in names] if code else []
    return InputLayout(tuple(channels), names, places, halo)


def load(folders: list[Path], configuration: Configuration, seen: InputLayout | None, **options: object) -> list[Batch]:
    settings = {"labels": LABELS, "seed": 3, "fold": 1, "first_step": 0, "last_step": 20, "workers": 0} | options
    with BatchLoader(folders, configuration, layout=seen, **settings) as loader:  # type: ignore[arg-type]
        return list(loader)


def flat(patch: Shape, axis: int, **training: object) -> Configuration:
    return make_configuration(patch, **training).changed(slice_axis=axis)


@pytest.mark.parametrize(("patch", "axis"), [((1, 12, 12), 0), ((5, 12, 1), 2)])
@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_neighbours_are_the_slices_beside_it_and_zero_beyond_the_image(tmp_path, patch, axis, cache_bytes) -> None:
    image, label = write_noise_case(tmp_path / "a", SHAPE, seed=9, present=(True, True, True))
    halo = (2, 0, 0) if axis == 0 else (0, 0, 2)
    seen = layout((0, 2), halo)
    batches = load([tmp_path / "a"], flat(patch, axis), seen, augment=False, cache_bytes=cache_bytes)
    padded = np.pad(image[[0, 2]], ((0, 0), *((h, h) for h in halo)))
    at_edge = 0
    for batch in batches:
        assert batch.image.shape == (2, 10, *patch)
        assert batch.label.shape == (2, *patch)
        for patches, expected in zip(batch.image.numpy(), batch.label.numpy(), strict=True):
            # the slice itself tells where it was cut
            z, y, x = np.argwhere(image[0] == patches[2].flat[0])[0]
            box = tuple(slice(start, start + n) for start, n in zip((z, y, x), patch, strict=True))
            np.testing.assert_array_equal(label[box], expected)
            for sequence in range(2):
                for offset in range(-2, 3):
                    lower = [s + h + offset * (h > 0) for s, h in zip((z, y, x), halo, strict=True)]
                    moved = tuple(slice(s, s + n) for s, n in zip(lower, patch, strict=True))
                    np.testing.assert_array_equal(patches[5 * sequence + offset + 2], padded[sequence][moved])
            at_edge += not patches[0].any()
    assert at_edge, "no patch lies at the edge: the test does not see what is there"


def test_neighbours_are_transformed_as_the_slice_between_them(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("trainer.data.augmentation.apply_intensity", lambda *arguments, **options: None)
    rng = np.random.default_rng(0)
    slice_of_all = rng.standard_normal((1, 1, 40, 40)).astype(np.float32)
    image = np.repeat(slice_of_all, 5, axis=1)

    def read(lower: Shape, upper: Shape):
        box = tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))
        return image[(slice(None), *box)].copy(), np.zeros(image[0][box].shape, np.uint8)

    training = make_configuration((1, 20, 20), rotation=(90.0, 0.0, 0.0), elastic=0.5, mirror=(1, 2)).training
    record = example_record(example_geometry((5, 40, 40)), present=(True,))
    moved = 0
    for seed in range(30):
        rngs = (np.random.default_rng(seed), np.random.default_rng(seed))
        place = Place((2, 10, 10), (2.0, 19.0, 19.0))
        seen, label = augmented_patch(read, record, place, (1, 20, 20), training, rngs, halo=(1, 0, 0))
        assert seen.shape == (1, 3, 20, 20) and label.shape == (1, 20, 20)
        np.testing.assert_array_equal(seen[0, 0], seen[0, 1])
        np.testing.assert_array_equal(seen[0, 2], seen[0, 1])
        moved += not np.array_equal(seen[0, 1], image[0, 2, 10:30, 10:30])
    assert moved > 10


def test_intensity_transforms_do_not_mix_slices() -> None:
    """A slice of signal between two of zero: whatever is drawn, its neighbours stay without structure."""
    image = np.zeros((1, 3, 16, 16), np.float32)
    image[0, 1] = np.indices((16, 16)).sum(0) % 5

    def read(lower: Shape, upper: Shape):
        box = tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))
        return image[(slice(None), *box)].copy(), np.zeros(image[0][box].shape, np.uint8)

    training = make_configuration((1, 16, 16), rotation=(0.0, 0.0, 0.0), scaling=(1.0, 1.0), mirror=()).training
    record = example_record(example_geometry((3, 16, 16)), present=(True,))
    for seed in range(60):
        rngs = (np.random.default_rng(seed), np.random.default_rng(seed))
        place = Place((1, 0, 0), (1.0, 8.0, 8.0))
        seen, _ = augmented_patch(read, record, place, (1, 16, 16), training, rngs, halo=(1, 0, 0))
        # noise apart, a slice that was constant is constant afterwards
        for neighbour in (seen[0, 0], seen[0, 2]):
            correlation = np.corrcoef(neighbour.ravel(), image[0, 1].ravel())[0, 1] if neighbour.std() > 1e-6 else 0.0
            assert abs(correlation) < 0.35


def test_sequences_that_are_not_seen_are_not_read(tmp_path) -> None:
    image, _ = write_noise_case(tmp_path / "a", SHAPE, seed=2, present=(True, True, True))
    patch = (4, 12, 12)
    for cache_bytes in (0, 2**20):
        for batch in load(
            [tmp_path / "a"], make_configuration(patch), layout((1,)), augment=False, cache_bytes=cache_bytes
        ):
            assert batch.image.shape == (2, 1, *patch)
            z, y, x = np.argwhere(image[1] == batch.image[0, 0, 0, 0, 0].item())[0]
            np.testing.assert_array_equal(batch.image[0, 0], image[1, z : z + 4, y : y + 12, x : x + 12])


def test_a_plain_layout_and_none_give_the_same_bits(tmp_path) -> None:
    for number in range(2):
        write_noise_case(tmp_path / f"case{number}", SHAPE, seed=number, present=(True, True, number == 0))
    folders = [tmp_path / "case0", tmp_path / "case1"]
    configuration = make_configuration((4, 12, 12), elastic=0.3)
    for one, other in zip(
        load(folders, configuration, None), load(folders, configuration, layout((0, 1, 2))), strict=True
    ):
        assert torch.equal(one.image, other.image) and torch.equal(one.label, other.label)


def test_dropped_sequences_are_zero_with_their_code_and_never_all(tmp_path) -> None:
    write_noise_case(tmp_path / "all", SHAPE, seed=0, present=(True, True, True))
    write_noise_case(tmp_path / "two", SHAPE, seed=1, present=(True, False, True))
    folders = [tmp_path / "all", tmp_path / "two"]
    configuration = make_configuration((4, 12, 12), sequence_dropout=0.5)
    seen = layout((0, 1, 2), code=True)
    batches = load(folders, configuration, seen, last_step=150)
    patches = torch.cat([batch.image for batch in batches])
    shown, codes = patches[:, :3].flatten(2).abs().amax(-1) > 0, patches[:, 3:].flatten(2)
    assert torch.equal(codes.amin(-1), codes.amax(-1)), "a code is the same everywhere"
    assert torch.equal(codes[..., 0], shown.float())
    assert shown.any(1).all()
    # a patch of `all` shows 3 or has lost some; with T2 it must be of `all`
    complete, single = int((shown.sum(1) == 3).sum()), int((shown.sum(1) == 1).sum())
    assert complete and single
    # half of each case's patches lose some: of `all` a half of these has one left, of `two` all have
    assert binomtest(complete, len(patches), 0.25).pvalue > 1e-3
    assert binomtest(single, len(patches), 0.5 * (0.25 + 0.5)).pvalue > 1e-3


def test_dropout_changes_no_other_draw(tmp_path) -> None:
    write_noise_case(tmp_path / "a", SHAPE, seed=0, present=(True, True, True))
    labels = [
        [b.label for b in load([tmp_path / "a"], make_configuration((4, 12, 12), sequence_dropout=p), None)]
        for p in (0.0, 1.0)
    ]
    assert all(torch.equal(one, other) for one, other in zip(*labels, strict=True))


def test_dropout_is_repeatable_wherever_training_begins(tmp_path) -> None:
    write_noise_case(tmp_path / "a", SHAPE, seed=0, present=(True, True, True))
    configuration = make_configuration((4, 12, 12), sequence_dropout=0.5)
    whole = load([tmp_path / "a"], configuration, layout((0, 1, 2), code=True))
    late = load([tmp_path / "a"], configuration, layout((0, 1, 2), code=True), first_step=13)
    assert all(torch.equal(one.image, other.image) for one, other in zip(whole[13:], late, strict=True))
