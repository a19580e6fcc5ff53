"""Measures predictions by one `autoseg.Predictor` beside as many calls of the command: seconds and peak memory.

    python -m benchmarks.predictor RUN IMAGE [--predictions 20] [--threads N] [--device cpu]

RUN is a RUN folder with finished folds, IMAGE a file or a folder of one case. The Predictor's process is measured from
its start to its end: it imports autoseg, loads the models once, predicts the image from its file again and again, and
writes each prediction. Each command is a process of its own, as a user calls it. The first command is not counted: it
brings libraries and weights into the system's cache for both. Memory is that of the process and all that it starts.
Nothing else may compute on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk
from rich.table import Table

import autoseg
from autoseg.terminal import open_console
from benchmarks.process import measure

MIB = 2**20
INSIDE = "--inside"
"""First argument of the process that the Predictor is measured in."""


@dataclass(frozen=True)
class Ways:
    """What both ways took.

    Args:
        predictions: number of predictions by each.
        predictor_seconds: wall time of the one process of the Predictor.
        predictor_bytes: its peak memory.
        command_seconds: wall time of all commands together.
        command_bytes: largest peak memory of a command.
        differing: number of predictions of the two ways that differ in a voxel.
    """

    predictions: int
    predictor_seconds: float
    predictor_bytes: int
    command_seconds: float
    command_bytes: int
    differing: int


def measured(run: Path, image: Path, predictions: int, threads: int, device: str, folder: Path) -> Ways:
    """Measure both ways; predictions and logs are written to `folder`."""
    command: list[str | Path] = [sys.executable, "-m", "autoseg", "predict", run, "-i", image]
    command += ["--threads", str(threads), "--device", device, "-o"]
    measure([*command, folder / "first"], folder / "first.txt")
    inside: list[str | Path] = [sys.executable, "-m", "benchmarks.predictor", INSIDE, run, image]
    inside += [str(predictions), str(threads), device]
    by_predictor = measure([*inside, folder], folder / "predictor.txt")
    by_command = [measure([*command, folder / f"command_{i}"], folder / f"command_{i}.txt") for i in range(predictions)]
    pairs = [(folder / f"predictor_{i}.mha", _label_map(folder / f"command_{i}")) for i in range(predictions)]
    return Ways(
        predictions=predictions,
        predictor_seconds=by_predictor.seconds,
        predictor_bytes=by_predictor.peak_bytes,
        command_seconds=sum(one.seconds for one in by_command),
        command_bytes=max(one.peak_bytes for one in by_command),
        differing=sum(not _are_equal(one, other) for one, other in pairs),
    )


def _label_map(folder: Path) -> Path:
    (file,) = (file for file in folder.iterdir() if file.suffix not in (".csv", ".json", ".txt"))
    return file


def _are_equal(one: Path, other: Path) -> bool:
    first, second = (sitk.GetArrayFromImage(sitk.ReadImage(str(file))) for file in (one, other))
    return bool((first == second).all())


def inside(run: str, image: str, predictions: str, threads: str, device: str, folder: str) -> None:
    """What the measured process of the Predictor does."""
    predictor = autoseg.Predictor(run, threads=int(threads), device=device)
    for i in range(int(predictions)):
        sitk.WriteImage(predictor(image), str(Path(folder) / f"predictor_{i}.mha"), useCompression=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument("--predictions", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        took = measured(options.run, options.image, options.predictions, options.threads, options.device, Path(folder))
    table = Table("", "seconds", "seconds each", "peak memory, MiB", title=f"{took.predictions} predictions")
    for way, seconds, peak in (
        ("Predictor, one process", took.predictor_seconds, took.predictor_bytes),
        ("autoseg predict, a process each", took.command_seconds, took.command_bytes),
    ):
        table.add_row(way, f"{seconds:.1f}", f"{seconds / took.predictions:.2f}", f"{peak / MIB:.0f}")
    open_console().print(table)
    print(f"{took.differing} of {took.predictions} predictions differ in a voxel")


if __name__ == "__main__":
    if sys.argv[1:2] == [INSIDE]:
        inside(*sys.argv[2:])
    else:
        main()
