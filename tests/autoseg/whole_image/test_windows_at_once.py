"""How many windows are predicted at once, on devices whose free memory is stood in."""

import pytest
import torch

from autoseg.whole_image import windows_at_once as module
from autoseg.whole_image.windows_at_once import windows_at_once
from tests.example_plan import example_configuration, example_network

GB = 10**9
CUDA = torch.device("cuda")


def at_once(monkeypatch, patch, free, *, classes=2, device=CUDA, features=(32, 64)) -> int:
    monkeypatch.setattr(module, "free_device_memory", lambda device: free)
    network = example_network(features=features)
    return windows_at_once(example_configuration(patch_size=patch, network=network, batch_size=3), 1, classes, device)


@pytest.mark.parametrize(
    ("patch", "windows"), [((128, 128, 128), 2), ((192, 192, 192), 1), ((2, 512, 512), 8), ((32, 48, 32), 64)]
)
def test_a_large_gpu_gets_as_much_work_as_two_large_patches(monkeypatch, patch, windows) -> None:
    assert at_once(monkeypatch, patch, 140 * GB) == windows


def test_less_memory_holds_fewer_and_always_one(monkeypatch) -> None:
    found = [at_once(monkeypatch, (64, 64, 64), gb * GB) for gb in (40, 2, 1, 0)]
    assert found[0] == 16 and sorted(found, reverse=True) == found and found[1] < 16 and found[-1] == 1
    assert at_once(monkeypatch, (64, 64, 64), 2 * GB, classes=118) < found[1]


def test_other_devices(monkeypatch) -> None:
    assert at_once(monkeypatch, (8, 8, 8), 0, device=torch.device("cpu")) == 1
    assert at_once(monkeypatch, (8, 8, 8), 0, device=torch.device("mps")) == 3
