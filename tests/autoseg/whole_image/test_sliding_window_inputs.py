"""Whole images through a layout: what the network is shown window by window, put back together."""

from collections.abc import Callable

import blosc2
import numpy as np
import pytest
import torch

from autoseg.image.geometry import Shape
from autoseg.plan.network_input import InputLayout, NetworkInput
from autoseg.whole_image.sliding_window import predict_probabilities

NAMES = ("T1", "T2", "STIR")


def showing(channel: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """A network whose second class has the value of one channel of its input."""
    return lambda patch: torch.cat([1 - patch[:, [channel]], patch[:, [channel]]], dim=1)


def layout(places: tuple[int, ...], halo: Shape = (0, 0, 0)) -> InputLayout:
    names = tuple(NAMES[place] for place in places)
    offsets = range(-max(halo), max(halo) + 1)
    slices = [NetworkInput(name, offset) for name in names for offset in offsets]
    codes = [NetworkInput(name, kind="availability") for name in names]
    return InputLayout((*slices, *codes), names, places, halo)


def image(shape: Shape = (7, 20, 22)) -> np.ndarray:
    return np.random.default_rng(5).random((3, *shape), dtype=np.float32)


def shown(channel: int, array: object, seen: InputLayout, present: tuple[bool, ...], patch: Shape) -> np.ndarray:
    out = predict_probabilities(
        showing(channel),
        array,
        patch_size=patch,
        classes=2,
        overlap=0.5,
        mirror=(),
        batch_size=3,
        layout=seen,
        present=present,
    )
    return out[1]


@pytest.mark.parametrize(("halo", "patch"), [((2, 0, 0), (1, 16, 16)), ((0, 0, 1), (5, 16, 1))])
@pytest.mark.parametrize("stored", [np.asarray, blosc2.asarray])
def test_each_channel_is_the_image_moved_by_its_offset(halo, patch, stored) -> None:
    whole, seen = image(), layout((0, 2), halo)
    axis, most = int(np.argmax(halo)), max(halo)
    padded = np.pad(whole, ((0, 0), *((h, h) for h in halo)))
    for number, channel in enumerate(seen.channels[:-2]):
        start = most + channel.offset
        moved = np.take(padded, range(start, start + whole.shape[axis + 1]), axis=axis + 1)
        found = shown(number, stored(whole), seen, (True,) * 3, patch)
        np.testing.assert_allclose(found, moved[NAMES.index(channel.sequence)], atol=5e-4)


def test_absent_sequences_and_codes() -> None:
    whole, seen, present = image(), layout((1, 2)), (True, False, True)
    found = [shown(number, whole, seen, present, (8, 16, 16)) for number in range(4)]
    assert not found[0].any(), "T2 is absent, whatever the array holds"
    np.testing.assert_allclose(found[1], whole[2], atol=5e-4)
    assert not found[2].any()
    np.testing.assert_allclose(found[3], 1, atol=5e-4)


def test_a_code_holds_in_the_padding_too() -> None:
    """As in training, where the whole patch has it."""
    seen = []

    def look(patch: torch.Tensor) -> torch.Tensor:
        seen.append(patch.numpy().copy())
        return showing(0)(patch)

    predict_probabilities(
        look, image((3, 8, 8)), patch_size=(8, 8, 8), classes=2, overlap=0.5, mirror=(), layout=layout((0,))
    )
    assert (seen[0][0, 1] == 1).all()
    assert not seen[0][0, 0, :2].any() and seen[0][0, 0, 2:5].all()
