"""Compares bfloat16 with float32 on this CPU, for convolutions of random shapes and their gradients.

    MALLOC_PERTURB_=165 python -m benchmarks.half_precision [--seconds 240] [--seed 0] [--torchs]

Prints each shape for which the output or a gradient differs by more than rounding, then the number of shapes. With
`MALLOC_PERTURB_` uninitialised memory is not zero, so that reading it changes the result; a crash ends the process.
`--torchs` tests torch's convolution instead of autoseg's, which does not use bfloat16 where torch's is wrong.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from torch import nn

from autoseg.network.convolution import Convolution
from autoseg.terminal import open_console

CHANNELS = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 320)
LENGTHS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 40)
KERNELS = ((1, 1, 1), (1, 3, 3), (3, 3, 3), (3, 1, 3), (3, 3, 1))
STRIDES = ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 1, 2))
BATCHES = (1, 2, 4, 8)
MOST_VALUES = 2_000_000
ROUNDING = 2**-7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--torchs", action="store_true", help="torch's convolution instead of ours")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    rng, console, drawn, wrong = np.random.default_rng(options.seed), open_console(), 0, 0
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        module, shape = draw(rng, nn.Conv3d if options.torchs else Convolution)
        if shape is None:
            continue
        drawn += 1
        for what, off in compare(module, shape).items():
            # `not off <=` instead of `off >`, so that NaN counts as wrong too
            if not off <= ROUNDING:
                wrong += 1
                console.print(f"{what} off by {off:.2g}: {tuple(shape)}, {module}", highlight=False)
    console.print(f"{drawn} shapes, {wrong} wrong")


def draw(rng: np.random.Generator, convolution: type[nn.Conv3d]) -> tuple[nn.Module, list[int] | None]:
    """Draw a convolution (one in four is transposed) and the shape (B, C, z, y, x) of its input; None if too large."""
    into, out = (int(rng.choice(CHANNELS)) for _ in range(2))
    kernel, stride = KERNELS[rng.integers(len(KERNELS))], STRIDES[rng.integers(len(STRIDES))]
    shape = [int(rng.choice(BATCHES)), into, *(int(n) for n in rng.choice(LENGTHS, 3))]
    module: nn.Module
    if rng.random() < 0.25:
        module = nn.ConvTranspose3d(into, out, stride, stride)
    else:
        module = convolution(into, out, kernel, stride, padding=(kernel[0] // 2, kernel[1] // 2, kernel[2] // 2))
    values = int(np.prod(shape)) // into * max(into, out)
    return module.to(memory_format=torch.channels_last_3d), shape if values <= MOST_VALUES else None  # type: ignore[call-overload]


def compare(module: nn.Module, shape: list[int]) -> dict[str, float]:
    """Relative difference of output and gradients between bfloat16 and float32, by name."""
    image = torch.randn(shape).contiguous(memory_format=torch.channels_last_3d)
    with torch.no_grad():
        upstream = torch.randn_like(module(image))
    half, single = (results(module, image, upstream, half=half) for half in (True, False))
    return {what: float((half[what] - single[what]).norm() / (single[what].norm() + 1e-12)) for what in single}


def results(module: nn.Module, image: torch.Tensor, upstream: torch.Tensor, *, half: bool) -> dict[str, torch.Tensor]:
    """Output, and gradients of the input and the weights, by name; in bfloat16 where `half` is true."""
    module.zero_grad()
    x = image.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        y = module(x)
    y.backward(upstream.to(y.dtype))
    gradients = {
        name: parameter.grad.clone() for name, parameter in module.named_parameters() if parameter.grad is not None
    }
    assert x.grad is not None
    return {"output": y.detach().float(), "input": x.grad} | gradients


if __name__ == "__main__":
    main()
