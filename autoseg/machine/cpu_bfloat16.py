"""Whether a CPU does better in bfloat16 than in single precision, by what it says of itself.

Instructions for it say little of speed: those of AVX-512 double that of a convolution on AMD's Zen 4 and slow it
down on Intel's processors, which have matrix units (AMX) instead. Measured in docs/experiments/number-types.md.
Nothing is timed here: on a busy machine a trial would give every process another number type.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch


def bfloat16_pays() -> bool:
    """Whether convolutions are clearly faster in bfloat16 on this CPU."""
    if not torch.backends.mkldnn.is_available():
        return False
    if has_matrix_units():
        # a system may keep the units from programs, which is known when one asks for them
        ask_for_units = getattr(torch.cpu, "_init_amx", lambda: False)
        return bool(ask_for_units())
    return bool(_capabilities().get("avx512_bf16", False)) and "AMD" in str(_capabilities().get("cpu_name", ""))


def has_matrix_units() -> bool:
    """Whether the CPU has AMX, by which oneDNN 3.12's gradient of weights in bfloat16 writes beyond its buffers."""
    return bool(_capabilities().get("amx_bf16", False))


def _capabilities() -> Mapping[str, object]:
    # older releases of torch do not tell
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return capabilities
