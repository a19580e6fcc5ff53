"""Row: time to predict one case with five folds, from file to file, including the start of the program.

nnU-Net with its mirroring is compared with autoseg with the same network and mirroring, and with the network that
autoseg plans for its default time. The weights are initial ones, which take as much time as trained ones. The case
is the training case of median size; runs take turns.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from autoseg.dataset.case import Case
from autoseg.dataset.fingerprint import read_fingerprint
from autoseg.dataset.read import read_dataset
from autoseg.run_folder.paths import RunFolder
from benchmarks.beside.bench import DATASETS, Bench
from benchmarks.beside.figures import Figure, number_types
from benchmarks.beside.untrained import CONFIGURATION, planned_network, reference_network, rivals_network

ROUNDS = {"hippocampus40": 3, "abdomen20": 1}


def figures(bench: Bench, name: str) -> list[Figure]:
    """Seconds to predict one case of the data set `name`."""
    same, planned = reference_network(bench, name), planned_network(bench, name)
    rivals_network(bench, name)
    images = one_case(bench, name, planned)
    seconds: dict[str, list[float]] = {"same": [], "planned": [], "theirs": []}
    for repeat in range(ROUNDS[name]):
        log = f"predict_{name}_{repeat}"
        output = bench.folder / "predicted" / name
        shutil.rmtree(output, ignore_errors=True)
        for which, run in (("same", same), ("planned", planned)):
            command: list[str | Path] = [
                "predict",
                run.path,
                "-i",
                images,
                "-o",
                output / which,
                "--config",
                CONFIGURATION,
            ]
            seconds[which].append(bench.autoseg(command, f"{log}_{which}").seconds)
        theirs: list[str | Path] = [
            "-d",
            str(DATASETS[name]),
            "-i",
            images,
            "-o",
            output / "theirs",
            "-c",
            "3d_fullres",
            "-device",
            "cpu",
        ]
        seconds["theirs"].append(bench.rival.call("nnUNetv2_predict", theirs, log).seconds)
    return [
        Figure(
            what=f"predict one case, five folds, {what}, s",
            dataset=name,
            ours=tuple(seconds[which]),
            theirs=tuple(seconds["theirs"]),
            better="less",
            goal=goal,
            note=number_types(learning=False),
        )
        for which, what, goal in (
            ("same", "the same network and mirroring", "3×"),
            ("planned", "each as planned by default", "8×"),
        )
    ]


def one_case(bench: Bench, name: str, run: RunFolder) -> Path:
    """Folder with links to the images of the training case of median size."""
    sizes = {case.case: math.prod(case.shape) for case in read_fingerprint(run.fingerprint).cases}
    middle = sorted(sizes, key=lambda case: (sizes[case], case))[len(sizes) // 2]
    dataset = read_dataset(bench.data / name)
    case: Case = next(case for case in dataset.cases if case.name == middle)
    folder = bench.folder / "one_case" / name
    folder.mkdir(parents=True, exist_ok=True)
    for channel, image in enumerate(case.images):
        link = folder / f"{case.name}_{channel:04d}{dataset.file_ending}"
        if image is not None and not link.exists():
            link.symlink_to(image.resolve())
    return folder
