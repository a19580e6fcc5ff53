"""Time and memory that the label maps of an ensemble's members take beside their mean, in prediction of one image.

    python -m benchmarks.agreement_cost [--device cuda] [--members 5] [--shape 96 192 192] [--classes 2 25]

The networks are those of a plan by nnU-Net's rules, untrained. Each is timed with and without the members' label maps,
one after the other, and the median of the ratios is printed. On a CPU it is the time of the processor in one thread,
which other programs hardly change. Memory is computed, not measured.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from statistics import median

import numpy as np
import torch
from rich.table import Table

from autoseg.memory import readable_bytes
from autoseg.network.build import build_network, on_device
from autoseg.plan.configuration import Configuration
from autoseg.plan.plan import ForegroundIntensity
from autoseg.terminal import open_console
from autoseg.whole_image.member_labels import MemberLabels, by_weights
from autoseg.whole_image.patch_probabilities import mean_and_members, mean_probabilities
from autoseg.whole_image.slab_sums import slab_bytes
from autoseg.whole_image.sliding_window import predict_probabilities
from benchmarks.made_data import fingerprint_of_equal_cases
from planner.rules.reference_plan import reference_plan


def configuration_of(shape: tuple[int, int, int], classes: int) -> Configuration:
    fingerprint = fingerprint_of_equal_cases(
        "made",
        shape,
        (1.0, 1.0, 1.0),
        cases="ab",
        channels=("CT",),
        foreground=[f"class {k}" for k in range(1, classes)],
        volume_mm3=1e4,
        intensity=ForegroundIntensity(mean=100, sd=30, median=100, percentile_00_5=0, percentile_99_5=200),
    )
    return reference_plan(fingerprint).plan.configurations["3d"]


def ratios(
    shape: tuple[int, int, int], classes: int, members: int, device: torch.device, repeats: int
) -> tuple[list[float], list[float], Configuration]:
    """Seconds without the members' label maps, and with them, of each repeat."""
    planned = configuration_of(shape, classes)
    networks = [on_device(build_network(planned.network, 1, classes), device).eval() for _ in range(members)]
    image = np.random.default_rng(0).random((1, *shape), dtype=np.float32)

    now = time.process_time if device.type == "cpu" else time.perf_counter

    def seconds(kept: MemberLabels | None) -> float:
        began = now()
        predict_probabilities(
            lambda patches: mean_probabilities(networks, patches.to(device)),
            image,
            patch_size=planned.patch_size,
            classes=classes,
            overlap=0.5,
            mirror=(),
            device=device,
            members=kept,
        )
        return now() - began

    plain, measured = [], []
    seconds(None)
    for _ in range(repeats):
        kept = MemberLabels(partial(mean_and_members, networks), members, by_weights((1.0,) * classes))
        plain.append(seconds(None))
        measured.append(seconds(kept))
        if not kept.maps:
            raise SystemExit("the memory did not hold the members' label maps")
    return plain, measured, planned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--shape", type=int, nargs=3, default=[96, 192, 192])
    parser.add_argument("--classes", type=int, nargs="+", default=[2, 25])
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    if given.device == "cpu":
        torch.set_num_threads(1)
    shape = (given.shape[0], given.shape[1], given.shape[2])
    shown = Table("classes", "patch", "mean alone", "with label maps", "more", "memory of label maps")
    for classes in given.classes:
        plain, measured, planned = ratios(shape, classes, given.members, torch.device(given.device), given.repeats)
        more = median(b / a for a, b in zip(plain, measured, strict=True)) - 1
        memory = given.members * (slab_bytes(shape, planned.patch_size, classes) + int(np.prod(shape)))
        patch = " × ".join(map(str, planned.patch_size))
        times = f"{median(plain):.2f} s", f"{median(measured):.2f} s"
        shown.add_row(str(classes), patch, *times, f"{more:+.1%}", readable_bytes(memory))
    open_console().print(shown)


if __name__ == "__main__":
    main()
