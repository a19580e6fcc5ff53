"""Row: augmented training patches per second and core, with the same transforms and linear interpolation of images.

autoseg is compared with batchgenerators, which nnU-Net used before, and with batchgeneratorsv2 and nnU-Net's present
list of transforms. These two get patches in memory that are already large enough for rotation; autoseg's time includes
reading the files (`benchmarks/augmentation.py`). Times are processor time of one thread; the three take turns.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch

from benchmarks.augmentation import BATCH, SETTINGS, batchgenerators, configuration, ours, write_cases
from benchmarks.beside.bench import Bench
from benchmarks.beside.figures import Figure

ROUNDS = 3
BATCHES = 40
CACHE_BYTES = 2**30


def figures(bench: Bench) -> list[Figure]:
    """Patches per second for each of `SETTINGS`, compared with each of the two libraries."""
    torch.set_num_threads(1)
    found: dict[str, list[list[float]]] = {name: [[], [], []] for name, *_ in SETTINGS}
    for _ in range(ROUNDS):
        newer = batchgenerators_v2(bench)
        for (name, patch, shape, rotation), seconds in zip(SETTINGS, newer, strict=True):
            with tempfile.TemporaryDirectory() as root:
                folders = write_cases(Path(root), shape)
                a_batch = ours(folders, configuration(patch, rotation), BATCHES, CACHE_BYTES)
            each = (a_batch, batchgenerators(patch, rotation, BATCHES, 1), seconds)
            for kept, one in zip(found[name], each, strict=True):
                kept.append(BATCH / one)
    return [
        Figure(
            what=f"augmented patches per second and core, {library}",
            dataset=f"{name}, {'×'.join(map(str, patch))}",
            ours=tuple(found[name][0]),
            theirs=tuple(found[name][place]),
            better="more",
            goal=goal,
        )
        for place, library, goal in ((1, "batchgenerators", "2×"), (2, "batchgeneratorsv2", "1×"))
        for name, patch, *_ in SETTINGS
    ]


def batchgenerators_v2(bench: Bench) -> list[float]:
    """Seconds per batch of batchgeneratorsv2, for each of `SETTINGS`."""
    settings = bench.folder / "augmentation_settings.json"
    wanted = [
        {"patch": patch, "rotation": rotation, "batch": BATCH, "batches": BATCHES} for _, patch, _, rotation in SETTINGS
    ]
    settings.write_text(json.dumps(wanted), encoding="utf-8")
    return [float(seconds) for seconds in bench.rival.ask("augmentation", [settings])]
