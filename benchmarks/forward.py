"""Measures seconds per patch of a network's forward pass in prediction, with torch's convolution and with autoseg's.

    python -m benchmarks.forward RUN [--config 3d] [--threads 2] [--reference]

RUN is a planned run. The weights are random. Several batch sizes are measured; the two convolutions take turns, and
the fastest pass of each counts.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from rich.table import Table
from torch import nn

from autoseg.network.build import network_by_plan
from autoseg.network.convolution import Convolution
from autoseg.plan.network_input import input_channels
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import open_console

BATCHES = (1, 2, 8)
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--config", default="3d")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reference", action="store_true", help="the network of the reference plan")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run = RunFolder(options.run)
    plan = read_plan(run.reference_plan if options.reference else run.plan)
    configuration = plan.configuration(options.config)
    ours, torchs = (network_by_plan(plan, configuration).eval() for _ in range(2))
    for module in torchs.modules():
        if isinstance(module, Convolution):
            module.__class__ = nn.Conv3d  # type: ignore[assignment]
    channels = len(input_channels(plan, configuration))
    table = Table("batch", "torch's, s a patch", "ours, s a patch", title=f"patch {configuration.patch_size}")
    for batch in BATCHES:
        patches = torch.randn((batch, channels, *configuration.patch_size))
        seconds = [min(times) for times in zip(*rounds(torchs, ours, patches), strict=True)]
        table.add_row(str(batch), *(f"{s / batch:.3f}" for s in seconds))
    open_console().print(table)


@torch.inference_mode()
def rounds(first: nn.Module, second: nn.Module, patches: torch.Tensor) -> list[tuple[float, ...]]:
    """Seconds of a forward pass of both networks, measured in turns; one pair for each round."""
    found = []
    for _ in range(ROUNDS):
        times = []
        for module in (first, second):
            start = time.perf_counter()
            module(patches)
            times.append(time.perf_counter() - start)
        found.append(tuple(times))
    return found


if __name__ == "__main__":
    main()
