"""Every part of the GPU's benchmark runs on a CPU, on small sizes, and its answers have the form that is told."""

import json
import subprocess
import sys

import pytest

from benchmarks.gpu.__main__ import LIMITS

QUICK = ("numerics", "steps", "loader", "fold", "prediction", "memory")


def test_the_parts_take_eight_minutes_at_most() -> None:
    assert sum(LIMITS.values()) <= 8 * 60


@pytest.mark.slow
def test_each_part_answers_on_a_cpu(tmp_path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", str(tmp_path), "--device", "cpu", "--parts", *QUICK]
    # a slow or busy CPU is no fault
    command += ["--patience", "20"]
    ended = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert ended.returncode == 0, ended.stderr[-2000:]
    found = json.loads((tmp_path / "gpu.json").read_text())
    logs = {path.name: path.read_text()[-2000:] for path in tmp_path.glob("*.log")}
    assert not [part for part in QUICK if "left out" in found[part]], (found, logs)
    assert found["machine"]["device"] == "cpu"
    numerics = found["numerics"]
    # a CPU is compared with itself
    assert numerics["float32"]["loss"] == 0 and numerics["float32"]["cosine"] == pytest.approx(1, abs=1e-4)
    assert numerics["labels"]["equal"] == 1 and numerics["resumed"]["largest difference"] == 0
    assert 0 < numerics["bfloat16"]["gradient"] < 0.2
    assert found["steps"]["hippocampus"]["contiguous"]["seconds"] > 0
    assert found["loader"]["4 sequences, autoseg"]["1"] > 0
    on_device = found["loader"]["4 sequences, augmented on the device"]
    assert on_device["1"] > 0 and on_device["device, seconds a patch"] > 0
    assert found["fold"]["step in training"] > 0 and found["fold"]["bare step"] > 0
    assert found["prediction"]["25 classes, 5 folds"]["network"] > 0
    assert found["memory"]["8 GB"]["batch"] >= 1
