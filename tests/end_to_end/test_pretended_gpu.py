"""Training and prediction on a GPU that is pretended: no tensor is on the wrong device, and steps wait for nothing.

It is a process of its own, since the pretended GPU must be there before torch is imported.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pretended_gpu.library import compile_to

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("g++") is None, reason="there is no compiler (g++)")]


@pytest.fixture(scope="module")
def libraries(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    try:
        compile_to(folder / "pretended_gpu.so")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"torch's headers do not fit: {error.stderr[-500:]}")
    return folder


def run(libraries: Path, folder: Path, scenario: str) -> dict:
    command = [sys.executable, "-m", "tests.pretended_gpu.scenarios", libraries, folder, scenario]
    ended = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=Path(__file__).parents[2])
    assert ended.returncode == 0, ended.stderr[-3000:]
    return json.loads(ended.stdout.splitlines()[-1])


def test_a_whole_fold_then_prediction_by_two_and_their_selection(libraries, tmp_path) -> None:
    found = run(libraries, tmp_path, "whole-fold")
    assert found["steps"] == 12 and found["precision"] == "bfloat16" and found["device"] == "cuda"
    assert found["predicted"] == ["labels.json", "labels_itksnap.txt", "measurements.csv", "new.nii.gz"]
    assert found["selected"] == ["3d"]
    assert found["cards"] == [0]


def test_on_the_second_card_the_first_one_is_not_touched(libraries, tmp_path) -> None:
    assert run(libraries, tmp_path, "second-card")["cards"] == [1]


def test_a_fold_that_was_stopped_goes_on_to_the_same_bits(libraries, tmp_path) -> None:
    found = run(libraries, tmp_path, "resumed")
    # a stop is looked at when losses are fetched, here at the end of the epoch of four steps
    assert "Stopped at step 8" in found["told"] and found["equal"]


def test_a_step_waits_for_the_card_once_in_ten(libraries, tmp_path) -> None:
    # this list may not grow
    waits = {"aten::_to_copy in trainer/fold_state.py:fetch": 2}
    found = run(libraries, tmp_path, "waits")
    assert found["workers"] == waits and found["device"] == waits


def test_a_tensor_on_the_wrong_device_is_found(libraries, tmp_path) -> None:
    assert "tensors on cpu, cuda:0" in run(libraries, tmp_path, "planted")["told"]
