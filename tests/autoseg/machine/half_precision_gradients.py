"""Convolutions and their gradients in bfloat16 against single precision, for `test_cpu_bfloat16.py`.

    python -m tests.autoseg.half_precision_gradients '[[batch, in, out, z, y, x], [kernel], [stride]]'

A process of its own, which a fault in a library ends; status 1 where something is wrong by more than rounding.
"""

import json
import sys

import torch
from torch import nn

from autoseg.network.convolution import Convolution
from benchmarks.half_precision import ROUNDING, compare


def main() -> None:
    (batch, into, out, *voxels), kernel, stride = json.loads(sys.argv[1])
    torch.manual_seed(0)
    straight = Convolution(into, out, kernel, stride, [n // 2 for n in kernel])
    for module in (straight, nn.ConvTranspose3d(into, out, stride, stride)):
        module.to(memory_format=torch.channels_last_3d)
        for what, off in compare(module, [batch, into, *voxels]).items():
            # not off <= …: what is no number is wrong too
            if not off <= ROUNDING:
                sys.exit(f"{type(module).__name__}: {what} off by {off:.3g}")


if __name__ == "__main__":
    main()
