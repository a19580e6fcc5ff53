"""What several threads may do at once, and what is said where the memory is too little."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import inference.predict_one as module
from autoseg.dataset.case import Case
from autoseg.errors import NotEnoughMemory
from autoseg.image.image import Image
from inference.predict_one import predict_one
from tests.autoseg.dataset import build
from tests.inference.bright_run import LABELS, straight

CASE = Case("image", (None,))


def models(device):
    return SimpleNamespace(device=torch.device(device), plan=SimpleNamespace(labels=LABELS))


@pytest.fixture
def at_once(monkeypatch):
    """Largest number of calls that prepare, and that predict, at the same time."""
    running, most, lock = {"prepare": 0, "predict": 0}, {"prepare": 0, "predict": 0}, threading.Lock()

    def stand_in(part):
        def call(*arguments):
            with lock:
                running[part] += 1
                most[part] = max(most[part], running[part])
            time.sleep(0.2)
            with lock:
                running[part] -= 1
            return SimpleNamespace(members=[])

        return call

    monkeypatch.setattr(module, "prepare_image", stand_in("prepare"))
    monkeypatch.setattr(module, "predict_image", stand_in("predict"))
    monkeypatch.setattr(module, "_label_map", lambda *_: (Image(build.voxels()[None], straight(build.SHAPE)), (), None))
    return most


@pytest.mark.parametrize(("device", "prepared"), [("cuda", 3), ("cpu", 1)])
def test_one_network_computes_and_beside_a_gpu_others_are_prepared(at_once, device, prepared):
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: predict_one(models(device), CASE, threads=1), range(3)))
    assert at_once["predict"] == 1
    # three threads may begin one after the other where the machine is busy
    assert at_once["prepare"] == 1 if prepared == 1 else at_once["prepare"] > 1
    assert len(found) == 3


def test_little_memory_is_told_by_name_and_other_defects_as_they_are(monkeypatch):
    def fails(error):
        def call(*_):
            raise error

        monkeypatch.setattr(module, "prepare_image", call)

    fails(np.exceptions.AxisError("no"))
    with pytest.raises(np.exceptions.AxisError):
        predict_one(models("cpu"), CASE, threads=1)
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")):
        fails(error)
        with pytest.raises(NotEnoughMemory, match=r"^image: there is not enough memory to predict it, .* are free"):
            predict_one(models("cpu"), CASE, threads=1)
    assert not module._COMPUTING.locked()
