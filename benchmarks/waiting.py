"""Measures the time of a training step for several ways in which OpenMP's threads wait, alone and beside a busy loop.

    python -m benchmarks.waiting RUN [--openmp LIBRARY] [--repeats 3] [--seconds 6]

RUN is any planned run; the step is that of its 3D configuration, on random patches. GNU's OpenMP, which torch
contains, waits as `GOMP_SPINCOUNT` and `OMP_WAIT_POLICY` say. LIBRARY is LLVM's or Intel's OpenMP (libomp.so,
libiomp5.so); it is loaded in place of GNU's, and waits as `KMP_BLOCKTIME` says, in milliseconds. Each is measured
with as many threads as cores, and with one thread. Every setting is measured in a process of its own, since a library
reads its variables only once. All settings, alone and beside one busy loop, take turns. Printed are the median over
the repeats, the minimum and the maximum. Nothing else may compute on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import torch
from rich.table import Table

from autoseg.machine.cores import available_cores
from autoseg.plan.configuration import Configuration
from autoseg.plan.network_input import input_channels
from autoseg.plan.plan import Plan, read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import open_console
from benchmarks.busy import BusyLoops
from benchmarks.quiet import wait_until_quiet
from trainer.data.batch import Batch
from trainer.learner import Learner

CONFIG = "3d"
SPIN_COUNTS = (300, 2_000, 10_000, 100_000)
BLOCK_TIMES = (0, 1)
LOOPS = (0, 1)
"""Numbers of busy loops beside the step."""

OF_OPENMP = ("OMP_", "GOMP_", "KMP_")
"""Prefixes of the variables that OpenMP reads; they are removed, so that settings of the user do not count."""

FEWEST_STEPS = 3
SECONDS_BEFORE = 0.3
"""Time that busy loops compute before the first step that counts."""


@dataclass(frozen=True)
class Setting:
    """One way in which OpenMP's threads wait.

    Args:
        library: name of the OpenMP library in the table.
        name: name of the setting in the table.
        threads: number of threads that compute.
        variables: environment variables that select the library and the way of waiting.
    """

    library: str
    name: str
    threads: int
    variables: dict[str, str] = field(hash=False)


def main() -> None:
    options = parse()
    run: Path = options.run.resolve()
    if options.here:
        threads, loops = options.here
        print(step_seconds(read_plan(RunFolder(run).plan), threads, loops, options.seconds))
        return
    settings = settings_of(None if options.openmp is None else options.openmp.absolute())
    taken: dict[tuple[Setting, int], list[float]] = {measured: [] for measured in product(settings, LOOPS)}
    wait_until_quiet()
    for _ in range(options.repeats):
        for (setting, loops), seconds in taken.items():
            seconds.append(in_own_process(run, setting, loops, options.seconds))
    show(settings, taken)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.waiting", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="a planned RUN folder")
    parser.add_argument("--openmp", type=Path, help="LLVM's or Intel's library")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6, help="of steps, each time")
    # for the processes that this program starts: number of threads and of busy loops
    parser.add_argument("--here", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.openmp is not None and not options.openmp.is_file():
        # the loader only warns of a missing file, and GNU's library would be measured once more
        parser.error(f"--openmp {options.openmp}: is no file")
    return options


def settings_of(openmp: Path | None) -> list[Setting]:
    """All settings to compare: those of GNU's OpenMP, and of the library in the file `openmp` (None = no other)."""
    cores = available_cores()
    gnu = "GNU"
    found = [
        Setting(gnu, "default", cores, {}),
        *(Setting(gnu, f"GOMP_SPINCOUNT={n}", cores, {"GOMP_SPINCOUNT": str(n)}) for n in SPIN_COUNTS),
        Setting(gnu, "OMP_WAIT_POLICY=passive", cores, {"OMP_WAIT_POLICY": "passive"}),
        Setting(gnu, "one thread", 1, {}),
    ]
    if openmp is not None:
        name, loaded = openmp.name, {"LD_PRELOAD": str(openmp)}
        found += [
            Setting(name, "default", cores, loaded),
            *(Setting(name, f"KMP_BLOCKTIME={n}", cores, loaded | {"KMP_BLOCKTIME": str(n)}) for n in BLOCK_TIMES),
            Setting(name, "OMP_WAIT_POLICY=passive", cores, loaded | {"OMP_WAIT_POLICY": "passive"}),
            Setting(name, "one thread", 1, loaded),
        ]
    return found


def in_own_process(run: Path, setting: Setting, loops: int, seconds: float) -> float:
    """Seconds of a step, measured in a new process that has no OpenMP variables except those of the setting."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OF_OPENMP)}
    here = ["--here", str(setting.threads), str(loops), "--seconds", str(seconds)]
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.waiting", run, *here],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=kept | setting.variables,
    ).stdout
    return float(told.split()[-1])


def step_seconds(plan: Plan, threads: int, loops: int, seconds: float) -> float:
    """Median time of a training step in seconds, in this process, beside busy loops.

    Args:
        plan: plan whose 3D configuration is trained.
        threads: number of threads that compute.
        loops: number of busy loops; they start after a first step, which warms up and does not count.
        seconds: minimum time that all timed steps take together.
    """
    torch.set_num_threads(threads)
    configuration = plan.configuration(CONFIG)
    image, label = random_batch(plan, configuration)
    learner = Learner(plan, configuration, configuration.training, torch.device("cpu"), seed=0)
    batch = Batch(image, label, 0)
    learner.step(batch, 1e-4, 0)
    taken: list[float] = []
    with BusyLoops() as busy:
        busy.set(loops)
        time.sleep(SECONDS_BEFORE)
        while len(taken) < FEWEST_STEPS or sum(taken) < seconds:
            start = time.perf_counter()
            learner.step(batch, 1e-4, 1)
            taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def random_batch(plan: Plan, configuration: Configuration) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise (B, C, z, y, x) and a label (B, z, y, x) of small components, so that a lesion-wise loss has lesions."""
    generator = torch.Generator().manual_seed(0)
    batch, patch = configuration.batch_size, configuration.patch_size
    image = torch.randn((batch, len(input_channels(plan, configuration)), *patch), generator=generator)
    label = torch.zeros((batch, *patch), dtype=torch.uint8)
    pieces = label[:, ::8, ::8, ::8]
    pieces[:] = torch.randint(1, plan.labels.classes, pieces.shape, generator=generator, dtype=torch.uint8)
    return image, label


def show(settings: list[Setting], taken: dict[tuple[Setting, int], list[float]]) -> None:
    table = Table("OpenMP", "waiting", "threads", "alone, s a step", "beside one busy loop, s a step")
    for setting in settings:
        cells = [median_and_range(taken[setting, loops]) for loops in LOOPS]
        table.add_row(setting.library, setting.name, str(setting.threads), *cells)
    open_console().print(table)


def median_and_range(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.3f} ({min(seconds):.3f} to {max(seconds):.3f})"


if __name__ == "__main__":
    main()
