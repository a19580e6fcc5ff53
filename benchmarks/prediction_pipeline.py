"""Measures prediction on a CPU with its parts in sequence and overlapping.

    AUTOSEG_TEST_DATA=DATA python -m benchmarks.prediction_pipeline [--threads N] [--turns N] [--small-only]

DATA holds the data set hippocampus40, whose 40 images are predicted by a small untrained network. Then come two large
synthetic images of 512 x 512 x 300 voxels with 25 classes (one image alone has nothing to overlap with). Each way is
measured in turns, in one process, after a first turn that is not counted. Nothing else should compute meanwhile. With
`--threads` the label maps of both ways are compared byte by byte.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import torch
from rich.console import Console

from autoseg.dataset.case import Case
from autoseg.dataset.fingerprint import Fingerprint, write_fingerprint
from autoseg.disk.checksums import digest_of
from autoseg.image.image import write_image
from autoseg.machine.cores import available_cores
from autoseg.network.build import build_network
from autoseg.network.weights import save_weights
from autoseg.plan.plan import ForegroundIntensity, Plan, write_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.terminal import open_console
from benchmarks import memory_predict
from benchmarks.made_data import fingerprint_of_equal_cases
from inference.predict import predict_cases
from planner.rules.reference_plan import reference_plan

FEATURES = 8
WAYS = {"in sequence": frozenset[str](), "overlapping": frozenset({"cpu"})}
"""Types of devices beside which the other parts run."""


def small_plan() -> tuple[Plan, Fingerprint]:
    """Plan and fingerprint of images like those of hippocampus40, with a network of few features."""
    fingerprint = fingerprint_of_equal_cases(
        "hippocampus40",
        (36, 50, 35),
        (1.0, 1.0, 1.0),
        cases="ab",
        channels=("MR",),
        foreground=("anterior", "posterior"),
        volume_mm3=1500,
        intensity=ForegroundIntensity(mean=300, sd=100, median=300, percentile_00_5=50, percentile_99_5=600),
    )
    plan = reference_plan(fingerprint).plan
    full = plan.configurations["3d"]
    features = tuple(min(FEATURES * 2**stage, 64) for stage in range(len(full.network.features)))
    return plan.changed(
        configurations={"3d": full.changed(network=full.network.changed(features=features))}
    ), fingerprint


def write_run(folder: Path, plan: Plan, fingerprint: Fingerprint) -> RunFolder:
    """A RUN with one fold of random weights, from a seed."""
    run = RunFolder(folder)
    write_plan(run.plan, plan, {})
    write_fingerprint(run.fingerprint, fingerprint)
    torch.manual_seed(0)
    network = build_network(plan.configurations["3d"].network, len(plan.channels), plan.labels.outputs)
    save_weights(run.weights("3d", 0), network.state_dict())
    return run


def seconds_of(
    run: RunFolder, cases: list[Case], output: Path, threads: int | None, way: str
) -> tuple[float, list[str]]:
    """Seconds to predict the cases in one way, and the checksums of the label maps."""
    start = time.perf_counter()
    with patch("autoseg.machine.overlap.OVERLAPPING", WAYS[way]):
        problems = predict_cases(
            run,
            cases,
            output,
            configuration="3d",
            device="cpu",
            # mirrored windows would only make the network's part longer
            mirror=False,
            threads=threads,
            console=Console(file=io.StringIO()),
        )
    if problems:
        raise SystemExit("\n".join(problems))
    return time.perf_counter() - start, [digest_of(file) for file in sorted(output.glob("*.nii.gz"))]


def compare(what: str, run: RunFolder, cases: list[Case], output: Path, options: argparse.Namespace) -> None:
    """Measure both ways in turns, and print the seconds of each turn."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    written: dict[str, list[str]] = {}
    for turn in range(options.turns + 1):
        for way in WAYS:
            taken, written[way] = seconds_of(run, cases, output, options.threads, way)
            seconds[way] += [taken] if turn else []
    console = open_console()
    for way, each in seconds.items():
        console.print(f"{what}, {way}: {', '.join(f'{s:.1f}' for s in each)} s (least {min(each):.1f} s)")
    if options.threads is None:
        console.print(f"{what}: label maps are not compared, as the number of threads changes bits; give --threads")
        return
    same = written["in sequence"] == written["overlapping"]
    console.print(f"{what}: label maps are {'the same bytes' if same else 'DIFFERENT'}")
    if not same:
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, help="of the network [default: as many as other programs leave]")
    parser.add_argument("--turns", type=int, default=3, help="counted turns of each way")
    parser.add_argument("--small-only", action="store_true", help="leave out the large images")
    options = parser.parse_args()
    open_console().print(f"{available_cores()} cores, threads: {options.threads or 'as other programs leave'}")
    data = Path(os.environ.get("AUTOSEG_TEST_DATA", "../shared/data")) / "hippocampus40" / "imagesTr"
    images = sorted(data.glob("*.nii.gz"))
    if not images:
        raise SystemExit(f"{data}: no images; set AUTOSEG_TEST_DATA to the folder with hippocampus40")
    with tempfile.TemporaryDirectory() as folder:
        run = write_run(Path(folder) / "small", *small_plan())
        cases = [Case(image.name.split(".")[0], (image,)) for image in images]
        compare(f"{len(cases)} hippocampus images", run, cases, Path(folder) / "small_out", options)
        if options.small_only:
            return
        run = write_run(Path(folder) / "large", *memory_predict.plan_and_fingerprint())
        image = Path(folder) / "large.nii.gz"
        write_image(image, memory_predict.large_image())
        twice = [Case("first", (image,)), Case("second", (image,))]
        compare("2 images of 512 x 512 x 300", run, twice, Path(folder) / "large_out", options)


if __name__ == "__main__":
    main()
