"""Measures how time and memory grow with the number of voxels and with the number of cases.

    python -m benchmarks.growth --data DATA [--folder FOLDER]

Data sets of 10 cases of hippocampus40, whose images are tiled to 1, 2, 4 and 8 times their voxels; and data sets of
10, 20 and 40 cases with their original images. Measured are: checking, fingerprint and plan; preprocessing; one
epoch of training of fold 0; and prediction of the images of all cases with this fold. The plan's patch, network and
length of an epoch are the same for all, so that only the data grow. It writes FOLDER/growth.csv and the plot
benchmarks/growth.svg. What has been measured is not measured again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rich.table import Table

from autoseg.files import folder_replaced_when_done
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, read_image, write_image
from autoseg.plan.plan import Plan, read_plan, read_reasons, write_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import open_console
from benchmarks.process import measure

PLOT = Path(__file__).parent / "growth.svg"
CASES = 10
TILES = {1: (1, 1, 1), 2: (2, 1, 1), 4: (2, 2, 1), 8: (2, 2, 2)}
TIMES_CASES = (1, 2, 4)
PATCH = (32, 48, 32)
FEATURES = (8, 16, 32, 64)
STEPS = 50
MIB = 2**20
STAGES = ("check and plan", "preprocess", "train an epoch", "predict")


@dataclass(frozen=True)
class Setting:
    """A data set with `voxels` times the voxels of each image and `cases` times the cases of the smallest one."""

    voxels: int
    cases: int

    @property
    def name(self) -> str:
        """Name of the folders of its data and runs."""
        return f"voxels{self.voxels}_cases{self.cases}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of hippocampus40")
    parser.add_argument("--folder", type=Path, default=Path("benchmark_runs/growth"), help="for data, runs and results")
    options = parser.parse_args()
    settings = [Setting(n, 1) for n in TILES] + [Setting(1, n) for n in TIMES_CASES[1:]]
    rows = [row for setting in settings for row in measured(options.data / "hippocampus40", options.folder, setting)]
    found = pd.DataFrame(rows)
    found.to_csv(options.folder / "growth.csv", index=False)
    plot(found)
    show(found)


def measured(source: Path, folder: Path, setting: Setting) -> list[dict[str, object]]:
    """Time and memory of each stage, one row each; read from a file where they are already measured."""
    kept = folder / f"{setting.name}.json"
    if not kept.exists():
        dataset = tiled(source, folder / "data" / setting.name, setting)
        run = RunFolder(folder / "runs" / setting.name)
        shutil.rmtree(run.path, ignore_errors=True)
        planning: list[str | Path] = [
            "plan-and-preprocess",
            dataset,
            "-o",
            run.path,
            "--config",
            "3d",
            "--time-budget",
            "5m",
        ]
        predicted = run.path / "predicted"
        commands: list[list[str | Path]] = [
            [*planning, "--plan-only"],
            planning,
            ["train", run.path, "--fold", "0", "--config", "3d"],
            ["predict", run.path, "-i", dataset / "imagesTr", "-o", predicted, "--config", "3d", "--fold", "0"],
        ]
        rows = []
        for stage, command in zip(STAGES, commands, strict=True):
            took = measure([sys.executable, "-m", "autoseg", *command], folder / "logs" / f"{setting.name}_{stage}.txt")
            rows.append(asdict(setting) | {"stage": stage, "seconds": took.seconds, "mib": took.peak_bytes / MIB})
            if stage == STAGES[0]:
                fix_plan(run)
        kept.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return list(json.loads(kept.read_text(encoding="utf-8")))


def tiled(source: Path, folder: Path, setting: Setting) -> Path:
    """Folder of the data set in the layout of the Decathlon; it is created where it is missing."""
    if folder.exists():
        return folder
    declared = json.loads((source / "dataset.json").read_text(encoding="utf-8"))
    cases = declared["training"][: CASES * setting.cases]
    with folder_replaced_when_done(folder) as making:
        for case in cases:
            for kind in ("image", "label"):
                relative = Path(case[kind])
                image = read_image(source / relative)
                (making / relative).parent.mkdir(parents=True, exist_ok=True)
                write_image(making / relative, tile(image, TILES[setting.voxels]))
        told = declared | {"training": cases, "numTraining": len(cases), "test": [], "numTest": 0}
        (making / "dataset.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def tile(image: Image, times: tuple[int, int, int]) -> Image:
    """The image repeated along its axes (z, y, x)."""
    voxels = np.tile(image.array, (1, *times))
    old = image.geometry
    z, y, x = voxels.shape[1:]
    return Image(voxels, Geometry((z, y, x), old.spacing, old.origin, old.direction))


def fix_plan(run: RunFolder) -> None:
    """Give the run's plan the same patch, network and epoch as all others."""
    plan = read_plan(run.plan)
    write_plan(run.plan, fixed(plan), read_reasons(run.plan))


def fixed(plan: Plan) -> Plan:
    """The plan with a 3D configuration that trains a small network for one epoch."""
    planned = plan.configuration("3d")
    stages = len(FEATURES)
    network = planned.network.changed(
        features=FEATURES,
        strides=((1, 1, 1), *((2, 2, 2),) * (stages - 1)),
        kernel_sizes=((3, 3, 3),) * stages,
        encoder_blocks=(2,) * stages,
        decoder_blocks=(2,) * (stages - 1),
    )
    training = planned.training.changed(iterations=STEPS, iterations_per_epoch=STEPS, validate_every=0, seconds=None)
    update = {"patch_size": PATCH, "network": network, "training": training, "spacing": (1.0, 1.0, 1.0)}
    return plan.changed(configurations={"3d": planned.changed(**update)})


def plot(found: pd.DataFrame) -> None:
    """Plot time and memory against voxels and against cases, one line for each stage."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = figure.subplots(2, 2)
    for column, (grown, fixed_at) in enumerate((("voxels", "cases"), ("cases", "voxels"))):
        rows = found[found[fixed_at] == 1]
        for row, (quantity, unit) in enumerate((("seconds", "s"), ("mib", "MiB"))):
            axes = panels[row][column]
            for stage in STAGES:
                of_stage = rows[rows["stage"] == stage].sort_values(grown)
                axes.plot(of_stage[grown], of_stage[quantity], marker="o", label=stage)
            axes.set(xlabel=f"times the {grown}", ylabel=unit, ylim=(0, None))
            axes.set_xticks(sorted(rows[grown].unique()))
    panels[0][0].legend()
    figure.savefig(PLOT)


def show(found: pd.DataFrame) -> None:
    table = Table("stage", "voxels", "cases", "s", "MiB")
    for row in found.sort_values(["stage", "cases", "voxels"]).itertuples():
        table.add_row(str(row.stage), f"{row.voxels}×", f"{row.cases}×", f"{row.seconds:.1f}", f"{row.mib:.0f}")
    open_console().print(table)


if __name__ == "__main__":
    main()
