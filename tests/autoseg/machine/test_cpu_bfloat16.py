"""Where a CPU computes in bfloat16, and whether what it computes there is right."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from autoseg.machine.cpu_bfloat16 import bfloat16_pays, has_matrix_units
from autoseg.machine.device import half_precision

ROOT = Path(__file__).parents[3]
CPU = torch.device("cpu")


AMD, INTEL = {"cpu_name": "AMD EPYC"}, {"cpu_name": "Intel(R) Xeon(R)"}


@pytest.mark.parametrize(
    ("capabilities", "permitted", "onednn", "expected"),
    [
        (INTEL | {"amx_bf16": True, "avx512_bf16": True}, True, True, True),
        (INTEL | {"amx_bf16": True, "avx512_bf16": True}, False, True, False),
        (INTEL | {"amx_bf16": True}, True, False, False),
        # its instructions are there, and slower
        (INTEL | {"avx512_bf16": True}, True, True, False),
        (AMD | {"avx512_bf16": True}, False, True, True),
        (AMD | {"avx512_f": True}, False, True, False),
        ({"architecture": "arm64"}, False, True, False),
    ],
)
def test_it_pays_where_it_was_measured_to(
    monkeypatch, capabilities: dict, permitted: bool, onednn: bool, expected: bool
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr("torch.cpu._init_amx", lambda: permitted, raising=False)
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: onednn)
    assert bfloat16_pays() is expected
    assert has_matrix_units() is capabilities.get("amx_bf16", False)


def test_a_torch_that_does_not_tell_computes_in_single_precision(monkeypatch) -> None:
    monkeypatch.delattr("torch.cpu.get_capabilities", raising=False)
    assert not bfloat16_pays()


@pytest.mark.parametrize(
    ("pays", "matrix_units", "predicting", "learning"),
    [
        (False, False, None, None),
        (True, False, torch.bfloat16, torch.bfloat16),
        # the gradients of weights are not safe there
        (True, True, torch.bfloat16, None),
    ],
)
def test_a_cpu_learns_in_it_where_that_is_safe(
    monkeypatch, pays: bool, matrix_units: bool, predicting: torch.dtype | None, learning: torch.dtype | None
) -> None:
    monkeypatch.setattr("autoseg.machine.device.bfloat16_pays", lambda: pays)
    monkeypatch.setattr("autoseg.machine.device.has_matrix_units", lambda: matrix_units)
    assert half_precision(CPU, learning=False) is predicting
    assert half_precision(CPU, learning=True) is learning


# (batch, channels in, channels out, z, y, x), kernel, stride
SHAPES = [
    # oneDNN's gradient of weights in bfloat16 is wrong for the next three, and ends a process by AMX for the two after
    ((2, 16, 16, 2, 20, 20), (3, 3, 3), (1, 1, 1)),
    ((8, 64, 24, 7, 28, 1), (1, 3, 3), (1, 2, 2)),
    ((2, 12, 8, 4, 1, 4), (3, 3, 3), (1, 2, 2)),
    ((8, 16, 16, 1, 128, 128), (1, 3, 3), (1, 1, 1)),
    ((8, 16, 16, 2, 128, 128), (1, 3, 3), (1, 1, 1)),
    ((2, 12, 24, 28, 40, 40), (3, 3, 3), (2, 2, 2)),
    ((2, 320, 320, 5, 7, 5), (3, 3, 3), (1, 1, 1)),
    ((1, 24, 4, 20, 28, 20), (1, 1, 1), (1, 1, 1)),
]


@pytest.mark.parametrize(("size", "kernel", "stride"), SHAPES, ids=str)
def test_what_networks_learn_from_is_right_in_it(size: tuple, kernel: tuple, stride: tuple) -> None:
    """Convolutions and their gradients against single precision, in a process of their own: a fault would end it."""
    if half_precision(CPU, learning=True) is None:
        pytest.skip("this processor learns in single precision")
    command = [
        sys.executable,
        "-m",
        "tests.autoseg.machine.half_precision_gradients",
        json.dumps((size, kernel, stride)),
    ]
    # memory that was never written is no zero then
    environment = os.environ | {"MALLOC_PERTURB_": "165"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
