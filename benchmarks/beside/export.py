"""Row: time of the export from class probabilities at the plan's spacing to labels in the image's geometry, in memory.

Both get the same probabilities; nnU-Net gets their logarithms, since its export takes logits. Nothing else is timed,
neither a network nor files. There are two sizes: an abdomen of abdomen20, planned twice as coarse in plane, and a
large CT.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg.image.geometry import IDENTITY, Geometry, Shape, Spacing
from autoseg.image.labels import Labels
from autoseg.run_folder.preprocessed_case import CaseRecord
from autoseg.whole_image.export import export_labels
from benchmarks.beside.bench import Bench
from benchmarks.beside.figures import Figure
from benchmarks.beside.predict_memory import MOST_BYTES, OUT_OF_MEMORY
from benchmarks.memory_export import AXES, organs
from benchmarks.process import OutOfMemory


@dataclass(frozen=True)
class Size:
    """Size of a prediction to export; shapes in voxels and spacings in mm are (z, y, x)."""

    name: str
    classes: int
    stored_shape: Shape
    stored_spacing: Spacing
    plan_shape: Shape
    plan_spacing: Spacing
    repeats: int


SIZES = (
    Size("an abdomen", 5, (36, 256, 256), (7.7, 1.25, 1.25), (36, 128, 128), (7.7, 2.5, 2.5), 5),
    Size("a large CT", 25, (300, 512, 512), (1.0, 0.7, 0.7), (300, 256, 256), (1.0, 1.4, 1.4), 1),
)


def figures(bench: Bench) -> list[Figure]:
    """Seconds of an export, for each of `SIZES`."""
    return [of_size(bench, size) for size in SIZES]


def of_size(bench: Bench, size: Size) -> Figure:
    probabilities = organs(size.plan_shape, size.classes)
    ours = [our_seconds(probabilities, size) for _ in range(size.repeats)]
    instead = ""
    try:
        theirs = their_seconds(bench, probabilities, size)
    except OutOfMemory:
        theirs, instead = [], OUT_OF_MEMORY
    return Figure(
        what="export, s",
        dataset=size.name,
        ours=tuple(ours),
        theirs=tuple(theirs),
        better="less",
        goal="20×",
        note=f"{size.classes} classes, {size.plan_shape} to {size.stored_shape} voxels",
        instead=instead,
    )


def our_seconds(probabilities: np.ndarray, size: Size) -> float:
    record = CaseRecord(
        case=size.name,
        stored=Geometry(size.stored_shape, size.stored_spacing, (0.0, 0.0, 0.0), AXES),
        reorientation=IDENTITY,
        crop_lower=(0, 0, 0),
        crop_upper=size.stored_shape,
        spacing=size.plan_spacing,
        shape=size.plan_shape,
        present=(True,),
    )
    labels = Labels(values=tuple(range(size.classes)), names=tuple(f"class {k}" for k in range(size.classes)))
    start = time.perf_counter()
    export_labels(probabilities, record, labels)
    return time.perf_counter() - start


def their_seconds(bench: Bench, probabilities: np.ndarray, size: Size) -> list[float]:
    plans = bench.preprocessed_by_rival("abdomen20")
    folder = bench.folder / "export"
    folder.mkdir(parents=True, exist_ok=True)
    logits, setting = folder / "logits.npy", folder / "setting.json"
    logarithms = np.empty_like(probabilities)
    for one, out in zip(probabilities, logarithms, strict=True):
        np.log(np.maximum(one, np.float16(1e-4)), out=out)
    np.save(logits, logarithms)
    wanted = {
        "plan_spacing": size.plan_spacing,
        "stored_spacing": size.stored_spacing,
        "shape": size.stored_shape,
        "repeats": size.repeats,
    }
    setting.write_text(json.dumps(wanted), encoding="utf-8")
    told = bench.rival.ask(
        "export",
        [plans / "nnUNetPlans.json", plans / "dataset.json", Path(logits), setting],
        most_bytes=MOST_BYTES,
    )
    return [float(seconds) for seconds in told["seconds"]]
