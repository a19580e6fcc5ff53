"""Row: Dice against wall time, from raw data to the validation Dice of fold 0, for several lengths of training.

nnU-Net trains with its own trainers of 1, 5, 10 and 20 epochs, whose learning rate is annealed to the end of each;
autoseg trains with several time budgets. Time counts from raw data on: nnU-Net's preprocessing, then `nnUNetv2_train`
with its validation; autoseg's `plan-and-preprocess` and `train --fold 0`. Both use the same folds. Dice is that of
whole validation cases at original geometry, computed here by the same code from the label maps that each wrote: the
mean over cases of the mean over classes. On abdomen20 only autoseg is trained; the duration of an epoch of nnU-Net is
computed from the time of its training step. Every training is kept in a folder for each machine, so that the row
continues where it was stopped; only trainings on the same machine are compared. To repeat a training, delete its file
in `benchmarks/measured/curve`.
"""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

import autoseg
from autoseg.files import FileModel, write_text
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from benchmarks.beside.bench import DATASETS, Bench
from benchmarks.beside.figures import NOT_REACHED, Figure, machine, our_versions, read_row
from benchmarks.beside.iteration import epoch_hours
from benchmarks.process import Measured

FOLDS = 5  # number of folds that a budget is planned for; only one is trained
EPOCHS = (1, 5, 10, 20)
FOLD_MINUTES = {"hippocampus40": (0.5, 1, 2, 4, 8, 16), "abdomen20": (2, 4, 8, 16)}
GOALS = {"hippocampus40": (0.83, 0.85, 0.86), "abdomen20": (0.75, 0.80, 0.85)}
RIVALS_DATASET = "hippocampus40"
MOST_HOURS = 3
"""Longest duration of nnU-Net's shortest training; where it takes longer, nnU-Net is not trained."""

TRAINER = {1: "nnUNetTrainer_1epoch"} | {n: f"nnUNetTrainer_{n}epochs" for n in EPOCHS[1:]}


class Point(FileModel):
    """One training of fold 0.

    Args:
        length: length of the training that was asked for, such as `4 min` or `5 epochs`.
        seconds: wall time from raw data to the validation Dice.
        peak_bytes: peak memory of the process tree; None where it was not measured.
        dice: mean Dice over classes of each validation case, by case name.
        machine: processor, number of cores and memory of the machine.
        versions: versions of the trained program and of its torch.
        remark: what a reader has to know about the time.
    """

    length: str
    seconds: float
    peak_bytes: int | None
    dice: dict[str, float]
    machine: str
    versions: dict[str, str]
    remark: str = ""

    @property
    def mean(self) -> float:
        """Mean Dice over the validation cases."""
        return float(np.nanmean(list(self.dice.values())))


def figures(bench: Bench, name: str) -> list[Figure]:
    """For each machine: time to reach each Dice, and Dice at the end of each of nnU-Net's trainings."""
    measure_here(bench, name)
    found: list[Figure] = []
    missing = set(EPOCHS if name == RIVALS_DATASET else ())
    machines = sorted({path.parent for path in (bench.measured / "curve").glob(f"*/{name}_*.json")})
    for folder in machines:
        ours, theirs = (kept_points(folder, name, who) for who in ("autoseg", "nnunet"))
        where = (ours or theirs)[0].machine
        instead = "" if theirs else beyond_the_limit(bench, name, where)
        of_machine = [
            *(time_to(goal, name, ours, theirs, instead) for goal in GOALS[name]),
            *(dice_at(point, name, ours) for point in theirs),
        ]
        # the machine is named where it is not the one that writes this row
        on = f"; on {where}" if len(machines) > 1 or where != machine() else ""
        run_there = {epochs for epochs in EPOCHS for point in theirs if point.length == f"{epochs} epochs"}
        if theirs and (left_out := sorted(set(EPOCHS) - run_there)):
            on += f"; nnU-Net's {', '.join(map(str, left_out))} epochs not run there"
        found += [figure.changed(note=figure.note + on) for figure in of_machine]
        missing -= run_there
    return found + [not_measured(epochs, name) for epochs in sorted(missing)]


def not_measured(epochs: int, name: str) -> Figure:
    """The line of the table for a training of nnU-Net that no machine has run."""
    what = f"Dice when {epochs} epochs of nnU-Net end"
    return Figure(what=what, dataset=name, ours=(), theirs=(), better="more", goal="more")


def measure_here(bench: Bench, name: str) -> None:
    """Measure all trainings that are still missing for this machine."""
    for epochs in EPOCHS if name == RIVALS_DATASET else ():
        if epochs <= bench.most_epochs:
            measure_rival(bench, epochs)
    for minutes in FOLD_MINUTES[name]:
        if minutes <= bench.most_minutes:
            measure_ours(bench, name, minutes)


def kept_points(folder: Path, name: str, who: str) -> list[Point]:
    """Kept trainings of one machine, the shortest first.

    Args:
        folder: folder of the machine's trainings.
        name: name of the data set.
        who: `autoseg` or `nnunet`.
    """
    points = [Point.model_validate_json(p.read_text(encoding="utf-8")) for p in folder.glob(f"{name}_{who}_*.json")]
    return sorted(points, key=lambda point: point.seconds)


def here(bench: Bench) -> Path:
    """Folder in which the trainings of this machine are kept."""
    return bench.measured / "curve" / re.sub(r"[^a-z0-9]+", "-", machine().lower()).strip("-")


def beyond_the_limit(bench: Bench, name: str, where: str) -> str:
    """Text in place of nnU-Net's value where one epoch would exceed `MOST_HOURS`; otherwise empty.

    The epoch's duration is computed from the training step in the row `iteration`. The text names that row's machine
    where it differs from `where`, the machine of the curve.
    """
    kept = bench.row_file(f"iteration-{name}")
    if not kept.exists():
        return ""
    row = read_row(kept)
    elsewhere = f" (by its step on {row.machine})" if row.machine != where else ""
    hours = epoch_hours(row.figures[0].theirs)
    return f"> {MOST_HOURS} h{elsewhere}" if hours > MOST_HOURS else ""


def measure_ours(bench: Bench, name: str, minutes: float) -> None:
    """Train fold 0 with autoseg within `minutes`, and keep the result; nothing is done where it is kept already."""
    kept = here(bench) / f"{name}_autoseg_{minutes:g}min.json"
    if not kept.exists():
        run = bench.folder / "curve" / name / f"{minutes:g}min"
        shutil.rmtree(run, ignore_errors=True)
        budget = ["--time-budget", f"{minutes * 60 * FOLDS:.0f}s", "--config", "3d"]
        log = f"curve_{name}_{minutes:g}min"
        planned = bench.autoseg(["plan-and-preprocess", bench.data / name, "-o", run, *budget], f"{log}_plan")
        trained = bench.autoseg(["train", run, "--fold", "0", "--config", "3d"], f"{log}_train")
        dice = dice_of(bench, name, RunFolder(run).cross_validation("3d"))
        keep(kept, point(f"{minutes:g} min", [planned, trained], dice, our_versions()))


def measure_rival(bench: Bench, epochs: int) -> None:
    """Train fold 0 with nnU-Net for `epochs`, and keep the result; nothing is done where it is kept already."""
    name = RIVALS_DATASET
    kept = here(bench) / f"{name}_nnunet_{epochs}epochs.json"
    if not kept.exists():
        number = DATASETS[name]
        bench.rival.add_dataset(number, bench.data / name)
        bench.rival.forget_preprocessed(number)
        prepared = bench.rival.preprocess(number, f"curve_{name}_preprocess")
        bench.rival.give_splits(number, bench.planned(name).splits)
        command = [str(number), "3d_fullres", "0", "-tr", TRAINER[epochs], "-device", "cpu"]
        trained = bench.rival.call("nnUNetv2_train", command, f"curve_{name}_{epochs}epochs")
        dice = dice_of(bench, name, trained_by_rival(bench, epochs) / "validation")
        keep(kept, point(f"{epochs} epochs", [prepared, trained], dice, bench.rival.versions))


def point(length: str, commands: list[Measured], dice: dict[str, float], versions: dict[str, str]) -> Point:
    """The point of one training on this machine.

    Args:
        length: length of the training, as text.
        commands: time and memory of all commands from raw data on.
        dice: mean Dice over classes of each validation case.
        versions: versions of the trained program and of its torch.
    """
    return Point(
        length=length,
        seconds=sum(command.seconds for command in commands),
        peak_bytes=max(command.peak_bytes for command in commands),
        dice=dice,
        machine=machine(),
        versions=versions,
    )


def trained_by_rival(bench: Bench, epochs: int) -> Path:
    """Folder of nnU-Net's fold 0 of hippocampus40, as `measure_rival` trains it."""
    results = bench.rival.folder / "results" / f"Dataset{DATASETS[RIVALS_DATASET]:03d}_{RIVALS_DATASET}"
    return results / f"{TRAINER[epochs]}__nnUNetPlans__3d_fullres" / "fold_0"


def dice_of(bench: Bench, name: str, predicted: Path) -> dict[str, float]:
    """Mean Dice over classes of each validation case of fold 0; `predicted` is the folder of the label maps."""
    run = bench.planned(name)
    cases = read_splits(run.splits)[0].val
    only = bench.folder / "evaluated"
    shutil.rmtree(only, ignore_errors=True)
    # links to the validation cases only, since an evaluation fails where references have no prediction
    for what, folder in (("labels", bench.data / name / "labelsTr"), ("predicted", predicted)):
        (only / what).mkdir(parents=True)
        for case in cases:
            (file,) = (path for path in folder.iterdir() if path.name.split(".")[0] == case)
            (only / what / file.name).symlink_to(file.resolve())
    autoseg.evaluate(only / "labels", only / "predicted", only / "report", run=run.path)
    rows = pd.read_csv(only / "report" / "metrics.csv", dtype={"case": str})
    return {str(case): float(dice) for case, dice in rows.groupby("case")["dice"].mean().items()}


def time_to(goal: float, name: str, ours: list[Point], theirs: list[Point], instead: str = "") -> Figure:
    """Wall time of the shortest training that reached a Dice, for autoseg and for nnU-Net.

    Args:
        goal: the Dice to reach.
        name: name of the data set.
        ours: autoseg's trainings.
        theirs: nnU-Net's trainings.
        instead: text in place of nnU-Net's value where it was not trained.
    """
    reached = {which: first(points, goal) for which, points in (("autoseg", ours), ("nnU-Net", theirs))}
    best = [
        f"{which}: best {max(point.mean for point in points):.3f}"
        for which, points in (("autoseg", ours), ("nnU-Net", theirs))
        if points and reached[which] is None
    ]
    lengths = [f"{which}: {point.length}, {point.mean:.3f}{said(point)}" for which, point in reached.items() if point]
    a, b = reached["autoseg"], reached["nnU-Net"]
    return Figure(
        what=f"raw data to fold 0's Dice of {goal}, s",
        dataset=name,
        ours=(a.seconds,) if a else (),
        theirs=(b.seconds,) if b else (),
        better="less",
        goal="10×" if theirs else "",
        note="; ".join(lengths + best),
        instead=instead or (NOT_REACHED if theirs else ""),
        ours_instead=NOT_REACHED if ours else "",
    )


def first(points: list[Point], goal: float) -> Point | None:
    """The fastest training that reached the goal; None where none did."""
    return min((point for point in points if point.mean >= goal), key=lambda point: point.seconds, default=None)


def dice_at(theirs: Point, name: str, ours: list[Point]) -> Figure:
    """Dice of a training of nnU-Net, and of autoseg's longest training that took no more time."""
    in_time = max(
        (point for point in ours if point.seconds <= theirs.seconds), key=lambda point: point.seconds, default=None
    )
    note = f"nnU-Net: {taken(theirs)}"
    if in_time:
        note += f"; autoseg: {in_time.length}, {taken(in_time)}"
        note += f"; Wilcoxon over {len(theirs.dice)} cases p = {paired(in_time, theirs):.3f}"
    return Figure(
        what=f"Dice when {theirs.length} of nnU-Net end",
        dataset=name,
        ours=(in_time.mean,) if in_time else (),
        theirs=(theirs.mean,),
        better="more",
        goal="more",
        note=note,
    )


def taken(point: Point) -> str:
    """Text with the time of a training and, where it was measured, its peak memory."""
    seconds = f"{point.seconds:.0f} s{said(point)}"
    return seconds if point.peak_bytes is None else f"{seconds}, {point.peak_bytes / 2**30:.1f} GiB"


def said(point: Point) -> str:
    """Text in brackets with autoseg's commit and the remark on the time; empty where there are none."""
    told = [part for part in (point.versions.get("autoseg", "").partition("(")[2].rstrip(")"), point.remark) if part]
    return f" ({', '.join(told)})" if told else ""


def paired(a: Point, b: Point) -> float:
    """P value of Wilcoxon's signed-rank test over cases; 1 if no case differs."""
    differences = [a.dice[case] - b.dice[case] for case in a.dice]
    return float(wilcoxon(differences).pvalue) if any(not math.isclose(d, 0) for d in differences) else 1.0


def keep(path: Path, point: Point) -> None:
    """Write a point, atomically."""
    write_text(path, point.model_dump_json(indent=1) + "\n")
