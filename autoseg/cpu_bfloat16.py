"""Whether a CPU does better in bfloat16 than in single precision: what it has, and what a trial says.

Instructions for it say little of speed: those of AVX-512 double that of a convolution on AMD's Zen 4 and slow it
down on Intel's processors, which have matrix units (AMX) instead (docs/experiments.md). So where a processor
has any it is tried.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cache

import torch
from torch.nn import functional

PAYS = 1.4
"""Times as fast as in single precision that a convolution must be; those measured were 2 and more, or below 1."""

ROUNDS = 5
CHANNELS, PATCH = 16, (16, 32, 32)
"""Of the convolution that is tried: like those of a network's first stage, some milliseconds long."""


@cache
def bfloat16_pays() -> bool:
    """Whether convolutions are clearly faster in bfloat16 on this CPU; tried once in a process."""
    if not torch.backends.mkldnn.is_available():
        return False
    return any(_has(units) for units in ("amx_bf16", "avx512_bf16")) and _trial() >= PAYS


def has_matrix_units() -> bool:
    """Whether oneDNN computes in bfloat16 by AMX here; its gradient of weights by them is not safe.

    In release 3.12 it writes beyond its buffers for some shapes (docs/experiments.md).
    """
    # a system may keep the units from programs, which is known when one asks for them
    ask_for_units = getattr(torch.cpu, "_init_amx", lambda: False)
    return _has("amx_bf16") and bool(ask_for_units())


def _has(instructions: str) -> bool:
    # older releases of torch do not tell
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get(instructions, False))


@torch.inference_mode()
def _trial() -> float:
    """Time of a convolution in single precision over that in bfloat16, the least of some rounds of each in turns."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (
        torch.randn(shape, generator=generator).contiguous(memory_format=torch.channels_last_3d)
        for shape in ((2, CHANNELS, *PATCH), (CHANNELS, CHANNELS, 3, 3, 3))
    )
    pairs = [(x, weight), (x.bfloat16(), weight.bfloat16())]
    rounds = [[_seconds(*pair) for pair in pairs] for _ in range(ROUNDS + 1)]
    # the first prepares what the others use
    single, half = (min(times) for times in zip(*rounds[1:], strict=True))
    return single / half


def _seconds(x: torch.Tensor, weight: torch.Tensor) -> float:
    start = time.perf_counter()
    functional.conv3d(x, weight, padding=1)
    return time.perf_counter() - start
