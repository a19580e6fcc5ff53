"""Memory that does not suffice for a batch, for what the device keeps, or for anything; torch's answers are made up."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from autoseg.errors import OutOfMemory
from autoseg.whole_image import sliding_window
from autoseg.whole_image.sliding_window import predict_probabilities
from autoseg.whole_image.window_inputs import WindowInputs

IMAGE = np.random.default_rng(3).random((1, 20, 12, 14), dtype=np.float32)
SETTINGS = {"patch_size": (8, 8, 8), "classes": 2, "overlap": 0.5, "mirror": (0, 2)}
LACKING = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB. GPU 0 has a total capacity of 7.79 GiB"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: not enough memory: you tried to allocate 8"),
    MemoryError(),
)


def by_place(patches: torch.Tensor) -> torch.Tensor:
    """A network whose answer depends on the voxel and on its place in the patch."""
    first = patches[:, :1] * torch.linspace(0, 1, 512).reshape(8, 8, 8)
    return torch.cat([first, 1 - first], 1)


def holding(most: int, error: Exception, shown: list[int]):
    """A network that lacks memory for more than `most` windows."""

    def predict(patches: torch.Tensor) -> torch.Tensor:
        shown.append(len(patches))
        if len(patches) > most:
            raise error
        return by_place(patches)

    return predict


@pytest.fixture
def another_device(monkeypatch) -> torch.device:
    """A device that this machine need not have: what is asked of it lies on the CPU."""
    cpu, of = torch.device("cpu"), WindowInputs.of
    monkeypatch.setattr(WindowInputs, "of", lambda self, windows: of(replace(self, device=cpu), windows))
    return torch.device("mps")


@pytest.mark.parametrize("error", LACKING, ids=repr)
@pytest.mark.parametrize(("most", "batches"), [(3, [8, 4, 2]), (1, [8, 4, 2, 1]), (4, [8, 4])])
def test_fewer_windows_at_once_give_the_same(error, most, batches) -> None:
    shown, told = [], []
    found = predict_probabilities(
        holding(most, error, shown), IMAGE, batch_size=8, on_window=lambda *n: told.append(n), **SETTINGS
    )
    np.testing.assert_array_equal(found, predict_probabilities(by_place, IMAGE, **SETTINGS))
    assert list(dict.fromkeys(shown))[: len(batches)] == batches
    assert told[-1] == (24, 24), "4 × 2 × 3 windows"


def test_a_batch_that_fails_in_the_middle_leaves_no_trace() -> None:
    calls = []

    def once(patches: torch.Tensor) -> torch.Tensor:
        calls.append(len(patches))
        if len(calls) == 20:
            raise LACKING[0]
        return by_place(patches)

    found = predict_probabilities(once, IMAGE, batch_size=2, **SETTINGS)
    np.testing.assert_array_equal(found, predict_probabilities(by_place, IMAGE, **SETTINGS))
    assert calls[:20] == [2] * 20 and set(calls[20:]) == {1}


def test_last_of_all_the_device_keeps_nothing(monkeypatch, another_device) -> None:
    asked, shown = [], []

    def on_device_or_not(device: torch.device, size: int) -> torch.device:
        asked.append(device.type)
        if device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return device

    monkeypatch.setattr(sliding_window, "slab_device", on_device_or_not)
    found = predict_probabilities(holding(9, LACKING[0], shown), IMAGE, batch_size=4, device=another_device, **SETTINGS)
    np.testing.assert_array_equal(found, predict_probabilities(by_place, IMAGE, **SETTINGS))
    assert asked == ["mps", "mps", "mps", "cpu", "cpu"], "4, 2 and 1 at once, then 1 with all else on the CPU"
    assert set(shown) == {1}


def test_what_no_memory_holds_is_told_with_device_and_need(another_device) -> None:
    with pytest.raises(OutOfMemory) as caught:
        predict_probabilities(holding(0, LACKING[0], []), IMAGE, batch_size=2, device=another_device, **SETTINGS)
    told = str(caught.value)
    assert told.startswith("device mps: its memory does not hold the prediction of one window of 8 × 8 × 8 voxels")
    assert "2 classes" in told and "3.00 GiB" in told and "--device cpu" in told


@pytest.mark.parametrize("error", LACKING[3:], ids=repr)
def test_it_is_the_machines_memory_that_is_told_where_that_is_too_small(another_device, error) -> None:
    with pytest.raises(OutOfMemory, match=r"device cpu \(.* free\).*more memory") as caught:
        predict_probabilities(holding(0, error, []), IMAGE, device=another_device, **SETTINGS)
    assert "--device cpu" not in str(caught.value)


def test_other_errors_are_raised_at_once() -> None:
    shown = []
    with pytest.raises(RuntimeError, match="shape mismatch"):
        predict_probabilities(holding(1, RuntimeError("shape mismatch"), shown), IMAGE, batch_size=4, **SETTINGS)
    assert shown == [4]
