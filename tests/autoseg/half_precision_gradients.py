"""Convolutions and their gradients in bfloat16 against single precision, for `test_cpu_bfloat16.py`.

    python -m tests.autoseg.half_precision_gradients '[[batch, in, out, z, y, x], [kernel], [stride]]'

A process of its own, which a fault in a library ends; status 1 where something is wrong by more than rounding.
"""

import json
import sys
from collections.abc import Callable

import torch
from torch.nn import functional

GENERATOR = torch.Generator().manual_seed(0)
ROUNDING = 2**-7


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=GENERATOR).bfloat16().contiguous(memory_format=torch.channels_last_3d)


def results(
    convolve: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    image: torch.Tensor,
    weight: torch.Tensor,
    upstream: torch.Tensor,
    kind: torch.dtype,
) -> list[torch.Tensor]:
    """Output and the gradients of image and weight in one number type."""
    x, w = (t.clone().to(kind).requires_grad_() for t in (image, weight))
    y = convolve(x, w)
    y.backward(upstream.to(kind))
    return [y.detach(), x.grad, w.grad]


def main() -> None:
    (batch, into, out, *voxels), kernel, stride = json.loads(sys.argv[1])
    image, padding = drawn(batch, into, *voxels), [n // 2 for n in kernel]
    for convolve, weight in (
        (lambda x, w: functional.conv3d(x, w, stride=stride, padding=padding), drawn(out, into, *kernel)),
        (lambda x, w: functional.conv_transpose3d(x, w, stride=stride), drawn(into, out, *stride)),
    ):
        upstream = drawn(*convolve(image, weight).shape)
        found = [results(convolve, image, weight, upstream, kind) for kind in (torch.bfloat16, torch.float32)]
        for half, exact in zip(*found, strict=True):
            off = float((half.float() - exact).norm() / exact.norm())
            if off > ROUNDING:
                sys.exit(f"off by {off:.3g}")


if __name__ == "__main__":
    main()
