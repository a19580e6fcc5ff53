"""Inputs from an image that lies on the device, beside those from the same image in an array."""

import numpy as np
import pytest
import torch

from autoseg.plan.network_input import InputLayout, NetworkInput
from autoseg.whole_image import window_inputs
from autoseg.whole_image.window_inputs import WindowInputs, on_device

CPU = torch.device("cpu")
IMAGE = np.random.default_rng(1).random((3, 9, 10, 11), dtype=np.float32)
CHANNELS = (
    *(NetworkInput("b", offset) for offset in (-1, 0, 1)),
    NetworkInput("c"),
    NetworkInput("c", 0, "availability"),
)
LAYOUT = InputLayout(CHANNELS, ("b", "c"), (1, 2), (1, 0, 0))


@pytest.mark.parametrize("available", [(True, True), (True, False)])
def test_a_tensor_gives_what_the_layout_makes_of_the_padded_image(available) -> None:
    inputs = WindowInputs(torch.from_numpy(IMAGE), (4, 6, 12), LAYOUT, available, CPU)
    windows = [(0, -2, 0), (5, 4, -1), (-1, 0, 0), (3, 2, -1)]
    padded = np.pad(IMAGE, ((0, 0), *[(8, 8)] * 3))
    expected = [
        LAYOUT.assemble(padded[1:, z + 7 : z + 13, y + 8 : y + 14, x + 8 : x + 20], available) for z, y, x in windows
    ]
    found = inputs.of(windows)
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), np.stack(expected))
    in_array = WindowInputs(IMAGE, (4, 6, 12), LAYOUT, available, CPU)
    assert torch.equal(in_array.of(windows), found)


def test_an_image_lies_on_the_device_where_its_memory_holds_it(monkeypatch) -> None:
    monkeypatch.setattr(window_inputs, "free_device_memory", lambda device: 4 * IMAGE.nbytes)
    kept = on_device(IMAGE, CPU)
    assert isinstance(kept, torch.Tensor) and torch.equal(kept, torch.from_numpy(IMAGE))
    monkeypatch.setattr(window_inputs, "free_device_memory", lambda device: 4 * IMAGE.nbytes - 4)
    assert on_device(IMAGE, CPU) is IMAGE


def test_a_device_that_refuses_leaves_the_image_where_it_is(monkeypatch) -> None:
    def refuse(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(window_inputs, "free_device_memory", lambda device: 2**40)
    monkeypatch.setattr(torch.Tensor, "to", refuse)
    assert on_device(IMAGE, CPU) is IMAGE
