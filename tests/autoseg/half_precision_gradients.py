"""Convolutions and their gradients in bfloat16 against single precision, for `test_cpu_bfloat16.py`.

    python -m tests.autoseg.half_precision_gradients '[[batch, in, out, z, y, x], [kernel], [stride]]'

A process of its own, which a fault in a library ends; status 1 where something is wrong by more than rounding.
"""

import json
import sys

import torch
from torch import nn

from autoseg.network.convolution import Convolution

GENERATOR = torch.Generator().manual_seed(0)
ROUNDING = 2**-7


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=GENERATOR).bfloat16().float().contiguous(memory_format=torch.channels_last_3d)


def results(module: nn.Module, image: torch.Tensor, upstream: torch.Tensor, half: bool) -> list[torch.Tensor]:
    """Output, and the gradients of image, weight and bias."""
    module.zero_grad()
    x = image.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        y = module(x)
    y.backward(upstream.to(y.dtype))
    return [y.detach().float(), x.grad, module.weight.grad, module.bias.grad]


def main() -> None:
    (batch, into, out, *voxels), kernel, stride = json.loads(sys.argv[1])
    image, padding = drawn(batch, into, *voxels), [n // 2 for n in kernel]
    torch.manual_seed(0)
    for module in (Convolution(into, out, kernel, stride, padding), nn.ConvTranspose3d(into, out, stride, stride)):
        module.to(memory_format=torch.channels_last_3d)
        upstream = drawn(*module(image).shape)
        half, exact = (results(module, image, upstream, kind) for kind in (True, False))
        for what, found, expected in zip(("output", "image", "weight", "bias"), half, exact, strict=True):
            off = float((found - expected).norm() / expected.norm())
            # not off <= …: what is no number is wrong too
            if not off <= ROUNDING:
                sys.exit(f"{type(module).__name__}: {what} off by {off:.3g}")


if __name__ == "__main__":
    main()
