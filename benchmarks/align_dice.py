"""What displaced sequences cost in Dice, and what `--align` gives back, on synthetic spines.

    python -m benchmarks.align_dice FOLDER [--cases 40] [--sizes 2 5 10] [--steps 260] [--folds 0 1]

The phantom's cases are drawn with all sequences. For each size T2 of every case is moved by so many mm and turned by so
many degrees in random directions (`benchmarks.align`), and a run is made without and with `--align T1`. All runs have
the network, the patch and the schedule that are planned for the cases as they are drawn, and take the same steps,
however long these take, so that other programs cannot disturb the figures. The same command again goes on.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk
from rich.table import Table

import autoseg
from autoseg.dataset.read import read_dataset
from autoseg.files import folder_replaced_when_done
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import open_console
from benchmarks.align import displaced, movement_of
from benchmarks.enough_steps import dice_of_cases, ended_folds
from benchmarks.side_by_side import train_two_at_a_time
from benchmarks.study_missing import difference, set_configuration

CONFIG, EPOCHS = "3d", 20
SEED = 3
DRAWN_ON, MOVED = "T1", "T2"
BUDGET = "10m"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where everything goes")
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 5, 10], help="mm and degrees")
    parser.add_argument("--steps", type=int, default=260, help="of a fold, in twenty epochs")
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1])
    given = parser.parse_args()
    drawn = given.folder / "drawn"
    if not drawn.exists():
        autoseg.phantom(drawn, cases=given.cases, seed=SEED, missing=0.0)
    first = RunFolder(given.folder / "runs" / "drawn")
    runs = {(0, "none"): planned(drawn, first, "none", given.steps, None)}
    for size in given.sizes:
        data = moved(drawn, given.folder / f"moved_{size}", size)
        for align in ("none", DRAWN_ON):
            run = RunFolder(given.folder / "runs" / f"moved_{size}_{align}")
            runs[size, align] = planned(data, run, align, given.steps, first)
    train_two_at_a_time([(run, fold) for run in runs.values() for fold in given.folds], CONFIG)
    show(runs, given.folds)


def moved(drawn: Path, folder: Path, size: int) -> Path:
    """The data set with one sequence displaced in every case; it is made where it is missing."""
    if folder.exists():
        return folder
    rng = np.random.default_rng(size)
    dataset = read_dataset(drawn)
    channel = dataset.channels.index(MOVED)
    with folder_replaced_when_done(folder) as making:
        shutil.copytree(drawn, making, dirs_exist_ok=True)
        for case in dataset.cases:
            original = case.images[channel]
            assert original is not None
            image = sitk.ReadImage(str(original))
            array = sitk.GetArrayFromImage(image).astype(np.float32)
            x, y, z = image.GetSpacing()
            other = sitk.GetImageFromArray(displaced(array, (z, y, x), movement_of(size, rng)))
            other = sitk.Cast(other, image.GetPixelID())
            other.CopyInformation(image)
            sitk.WriteImage(other, str(making / original.relative_to(drawn)))
    return folder


def planned(data: Path, run: RunFolder, align: str, steps: int, like: RunFolder | None) -> RunFolder:
    """Plan and preprocess; the configuration is that of `like`, or is given `steps` steps without a clock."""
    if not run.preprocessed(CONFIG).exists():
        autoseg.plan_and_preprocess(
            data, run.path, config=CONFIG, align=align, time_budget=BUDGET, threads=1, plan_only=True
        )
        configuration = read_plan((like or run).plan).configuration(CONFIG)
        if like is None:
            training = configuration.training.changed(
                iterations=steps, iterations_per_epoch=max(1, steps // EPOCHS), seconds=None, validate_every=0
            )
            configuration = configuration.changed(training=training)
        set_configuration(run.path, CONFIG, configuration)
        autoseg.plan_and_preprocess(data, run.path, config=CONFIG)
    return run


def show(runs: dict[tuple[int, str], RunFolder], folds: list[int]) -> None:
    """Print the Dice of each run, and its paired differences to the cases as drawn and to the run without `--align`."""
    dice = {key: pd.concat([dice_of_cases(ended_folds(run)[fold]) for fold in folds]) for key, run in runs.items()}
    table = Table(f"{MOVED} moved by, mm and degrees", "--align", "Dice", "minus as drawn", "minus not aligned")
    for (size, align), of_cases in dice.items():
        against = [difference(of_cases - dice[other]) for other in ((0, "none"), (size, "none"))]
        table.add_row(str(size), align, f"{of_cases.mean():.3f}", *(against if size else ["", ""]))
    open_console().print(table)


if __name__ == "__main__":
    main()
