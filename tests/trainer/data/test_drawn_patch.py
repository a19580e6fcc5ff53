"""Images that the device makes are those of the workers: same draws, same labels, and the same values to rounding."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from autoseg.plan.configuration import Configuration
from autoseg.plan.network_input import InputLayout
from tests.example_plan import LABELS
from tests.trainer.cases import make_configuration, write_noise_case
from tests.trainer.data.test_batches_inputs import flat, layout
from trainer.data import intensity, spatial
from trainer.data.batch import Batch
from trainer.data.batches import BatchLoader

SHAPE = (12, 16, 20)
TO_ROUNDING = 1e-5

SHARED: dict[str, tuple[Configuration, InputLayout | None]] = {
    "3D": (
        make_configuration((8, 12, 12), contrast_maps=0.3, sequence_dropout=0.3, pasted_lesions=0.5, lesion_loss=0.3),
        None,
    ),
    "3D, deformed": (make_configuration((8, 12, 12), elastic=0.8), None),
    "dummy 2D": (make_configuration((4, 12, 12), rotation=(180.0, 0.0, 0.0), elastic=0.3), layout((0, 2), code=True)),
    "2.5D": (flat((1, 12, 12), 0, rotation=(180.0, 0.0, 0.0), elastic=0.3), layout((0, 1), (1, 0, 0), code=True)),
    "2.5D along x": (flat((8, 12, 1), 2, rotation=(0.0, 0.0, 15.0)), layout((1,), (0, 0, 2))),
    "one axis": (make_configuration((8, 1, 12), rotation=(180.0, 0.0, 0.0)), layout((2,))),
}


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Four cases of three sequences, of which one case lacks one."""
    for number in range(4):
        write_noise_case(tmp_path / f"case{number}", SHAPE, seed=number, present=(True, True, number != 1))
    return [tmp_path / f"case{number}" for number in range(4)]


@pytest.fixture
def often(monkeypatch) -> None:
    """Every transform is drawn often; noise never, which is another one on a device, and after which draws differ."""
    for name in ("BLUR", "BRIGHTNESS", "CONTRAST", "LOW_RESOLUTION", "INVERTED_GAMMA", "GAMMA"):
        monkeypatch.setattr(intensity, name, 0.4)
    monkeypatch.setattr(intensity, "NOISE", 0.0)
    monkeypatch.setattr(spatial, "ROTATION_PROBABILITY", 0.5)
    monkeypatch.setattr(spatial, "SCALING_PROBABILITY", 0.5)


def load(folders: list[Path], configuration: Configuration, seen: InputLayout | None, **options: object) -> list[Batch]:
    settings = {"labels": LABELS, "seed": 3, "fold": 1, "first_step": 0, "last_step": 25, "workers": 0} | options
    with BatchLoader(folders, configuration, layout=seen, **settings) as loader:  # type: ignore[arg-type]
        return [batch.ready() for batch in loader]


@pytest.mark.parametrize("kind", SHARED)
def test_images_made_by_the_device_are_those_of_the_workers(folders, often, kind) -> None:
    configuration, seen = SHARED[kind]
    expected = load(folders, configuration, seen)
    found = load(folders, configuration, seen, for_device=True)
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one.label, other.label) and one.step == other.step
        assert all(torch.equal(a, b) for a, b in zip(one.tensors[2:], other.tensors[2:], strict=True))
        assert other.image.shape == one.image.shape and other.image.dtype == torch.float32
        for patch, of_device in zip(one.image.numpy(), other.image.numpy(), strict=True):
            for channel, made in zip(patch, of_device, strict=True):
                np.testing.assert_allclose(made, channel, atol=TO_ROUNDING * max(1.0, np.ptp(channel)))


def test_a_step_has_the_same_bits_for_any_number_of_workers_and_wherever_training_begins(folders) -> None:
    configuration = make_configuration((8, 12, 12), elastic=0.3, contrast_maps=0.3, sequence_dropout=0.3)
    settings = {"for_device": True, "last_step": 12, "places": range(1, 2)}
    whole = load(folders, configuration, None, **settings)
    assert len({batch.image.sum().item() for batch in whole}) == len(whole)
    for options in ({"workers": 2}, {"first_step": 5}, {"cache_bytes": 0}):
        found = load(folders, configuration, None, **settings | options)
        for one, other in zip(whole[-len(found) :], found, strict=True):
            assert torch.equal(one.image, other.image) and torch.equal(one.label, other.label)
    assert len(found) == 12


def test_noise_differs_between_steps_places_and_channels(folders, monkeypatch) -> None:
    monkeypatch.setattr(intensity, "NOISE", 1.0)
    with BatchLoader(
        folders[:1],
        make_configuration((8, 12, 12)),
        labels=LABELS,
        seed=3,
        fold=1,
        first_step=0,
        last_step=6,
        workers=0,
        for_device=True,
    ) as loader:
        patches = [patch for batch in loader for patch in batch.patches]
    seeds = [noise.seed for patch in patches for noise in patch.intensity.seeded.values()]
    assert len(seeds) == len(set(seeds)) == 3 * len(patches)


def test_what_is_sent_beside_the_values_does_not_grow_with_the_patch(folders) -> None:
    """Else a worker would send it through a pipe, and not through shared memory."""
    with BatchLoader(
        folders,
        make_configuration((12, 16, 20), elastic=1.0),
        labels=LABELS,
        seed=3,
        fold=1,
        first_step=0,
        last_step=1,
        workers=0,
        for_device=True,
    ) as loader:
        batch = next(iter(loader))
    assert len(pickle.dumps(batch.patches)) < 4000 < batch.values.nbytes / 10
