"""Whether a CPU computes faster in bfloat16 than in single precision, known from the capabilities it reports.

That a CPU has bfloat16 instructions does not mean that they are fast: those of AVX-512 double the speed of a
convolution on AMD's Zen 4 and reduce it on Intel's processors, which have matrix units (AMX) instead. This was
measured in docs/experiments/number-types.md. Nothing is timed here, since on a busy machine the result, and with
it the dtype, would differ from process to process.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch


def bfloat16_pays() -> bool:
    """Whether convolutions are clearly faster in bfloat16 on this CPU."""
    if not torch.backends.mkldnn.is_available():
        return False
    if has_matrix_units():
        # an operating system may forbid the units to programs, which shows only when a program requests them
        ask_for_units = getattr(torch.cpu, "_init_amx", lambda: False)
        return bool(ask_for_units())
    return bool(_capabilities().get("avx512_bf16", False)) and "AMD" in str(_capabilities().get("cpu_name", ""))


def has_matrix_units() -> bool:
    """Whether the CPU has matrix units (AMX).

    With them, oneDNN 3.12 writes beyond its buffers when it computes gradients of weights in bfloat16, so that they
    serve prediction only.
    """
    return bool(_capabilities().get("amx_bf16", False))


def _capabilities() -> Mapping[str, object]:
    # older releases of torch do not have this function
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return capabilities
