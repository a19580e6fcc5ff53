"""Measures how much time the lesion-wise loss adds to a training step.

    python -m benchmarks.lesion_loss RUN [--config 3d] [--device auto] [--steps 10]

RUN is any planned run (`autoseg plan-and-preprocess DATASET -o RUN --plan-only`). Steps with and without this loss are
measured as the planner measures them, on patches full of small components, so the result is close to the largest cost.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.table import Table

from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import open_console
from trainer.measure import measure_step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--config", default="3d")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    plan = read_plan(RunFolder(options.run).plan)
    configuration = plan.configuration(options.config)
    table = Table("loss", "ms a step", "of the plain one", title=f"{options.config}, patch {configuration.patch_size}")
    plain = 0.0
    for name, weight in (("plain", 0.0), ("and by lesion", 1.0)):
        training = configuration.training.changed(lesion_loss=weight)
        changed = configuration.changed(training=training)
        seconds = measure_step(plan, changed, options.device, options.steps).seconds
        plain = plain or seconds
        table.add_row(name, f"{1000 * seconds:.1f}", f"{seconds / plain:.0%}")
    open_console().print(table)


if __name__ == "__main__":
    main()
