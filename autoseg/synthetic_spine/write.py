"""Writes the synthetic data set: images, labels and the table that lists them."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from autoseg.disk.csv_files import csv_text
from autoseg.errors import InputError
from autoseg.files import folder_replaced_when_done
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, write_image
from autoseg.machine.map_cases import map_cases, workers_within_memory
from autoseg.synthetic_spine.cohort import MOST_MISSING, CasePlan, draw_grid, draw_scene, lesion_type, plan_cohort
from autoseg.synthetic_spine.kinds import KINDS
from autoseg.synthetic_spine.mr_signal import SEQUENCES, Motion, Scene, acquire, draw_motion, lesion_masks
from autoseg.synthetic_spine.statement import state

COLUMNS = ("case", *SEQUENCES, "label", "patient", "lesion_type")
FEWEST_VOXELS = 3
BYTES_PER_VOXEL = 500  # memory of a worker for each voxel of the image, measured

# every report of a run on the data set says that its images are synthetic, because the data set states it
DECLARATION = {
    "name": "synthetic spine phantom",
    "synthetic": True,
    "channel_names": {str(i): name for i, name in enumerate(SEQUENCES)},
    "labels": {"background": 0, "metastasis": 1},
}

ABOUT = """This data set is synthetic: autoseg drew it from seed {seed}. No patient is in it.

Sagittal spine MR (T1, T2, STIR; an empty field in cases.csv is a sequence that was not acquired) with
metastases: label 1, by type lytic, sclerotic or mixed. It is for trying and testing software; results
on it say nothing about results on patients.

{statement}
"""


def make_phantom(
    output: Path,
    *,
    cases: int = 40,
    seed: int = 0,
    kind: str = "spine",
    missing: float | None = None,
    shape: tuple[int, int, int] | None = None,
    workers: int | None = None,
    threads: int | None = None,
) -> Path:
    """Write a synthetic spine data set with metastases, as a table data set.

    The same arguments give the same files, bit for bit, whatever the number of workers.

    Args:
        output: folder to create; it appears only when the data set is complete.
        cases: number of cases; every sixth case is the second one of a patient.
        seed: random seed of the data set.
        kind: `spine`, or `small` (thick slices, small metastases only, 0.1 % of the voxels).
        missing: share of the cases that lack each sequence; sequences are missing independently of each other, but
            every case keeps at least one. None = every fourth case lacks one sequence.
        shape: number of voxels (z, y, x) of each case, that is slices, rows and columns; None = that of the kind.
        workers: number of processes; None = as many as cores and free memory allow.
        threads: maximum number of processes where `workers` is None; None = as many as there are cores.

    Returns:
        `output`, which holds `cases.csv`, `dataset.json`, `README.txt`, `images/` and `labels/`.

    Raises:
        InputError: the folder exists and is not empty, or an argument is out of its range.
    """
    output = Path(output)
    _check(output, cases, seed, kind, missing, shape)
    shape = shape or KINDS[kind].shape
    plans = plan_cohort(cases, seed, shape, kind=kind, missing=missing)
    statement = state(kind, seed, missing, shape)
    count = workers or workers_within_memory(BYTES_PER_VOXEL * int(np.prod(shape)), threads)
    with folder_replaced_when_done(output) as folder:
        rows = map_cases(
            partial(write_case, folder=folder), plans, count, "Drawing synthetic cases", name=lambda plan: plan.name
        )
        table = csv_text(COLUMNS, ([row.get(column) for column in COLUMNS] for row in rows))
        (folder / "cases.csv").write_text(table, encoding="utf-8", newline="\n")
        about = ABOUT.format(seed=seed, statement=statement.text())
        declaration = DECLARATION | {"description": about, "phantom": statement.model_dump(mode="json")}
        (folder / "dataset.json").write_text(json.dumps(declaration, indent=1), encoding="utf-8")
        (folder / "README.txt").write_text(about, encoding="utf-8")
    return output


def write_case(plan: CasePlan, folder: Path) -> dict[str, str]:
    """Draw a case and write its files into `folder`; returns the case's row of `cases.csv`."""
    grid = draw_grid(plan)
    scene, masks = visible(draw_scene(plan), grid)
    row = {"case": plan.name, "patient": f"patient_{plan.patient + 1:03d}"}
    for number, sequence in enumerate(plan.sequences):
        rng = plan.rng(1 + SEQUENCES.index(sequence))
        # the label belongs to the first sequence, which therefore has no motion
        motion = draw_motion(rng) if number else Motion()
        row[sequence] = f"images/{plan.name}_{sequence}.nii.gz"
        write_image(folder / row[sequence], Image(acquire(scene, sequence, grid, motion, rng)[None], grid))
    row["label"] = f"labels/{plan.name}.nii.gz"
    write_image(folder / row["label"], Image(np.any(masks, axis=0, keepdims=True).astype(np.uint8), grid))
    row["lesion_type"] = lesion_type({focus.kind for focus in scene.metastases})
    return row


def visible(scene: Scene, grid: Geometry) -> tuple[Scene, np.ndarray]:
    """Enlarge metastases until each has at least `FEWEST_VOXELS` voxels.

    Small metastases between two slices may fill too few voxels by more than half.

    Returns:
        The scene, and the masks (lesion, z, y, x) of its metastases.
    """
    while True:
        masks = lesion_masks(scene, grid)
        small = np.array([mask.sum() < FEWEST_VOXELS for mask in masks])
        if not small.any():
            return scene, masks
        grown = [focus.grown(1.15) if s else focus for focus, s in zip(scene.metastases, small, strict=True)]
        scene = replace(scene, metastases=tuple(grown))


def _check(
    output: Path, cases: int, seed: int, kind: str, missing: float | None, shape: tuple[int, int, int] | None
) -> None:
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise InputError(f"{output}: exists and is not empty; name another folder or delete it")
    if cases < 1:
        raise InputError(f"cases = {cases}: at least one case is needed")
    if seed < 0:
        raise InputError(f"seed = {seed}: must not be negative")
    if kind not in KINDS:
        raise InputError(f"kind = {kind!r}: there are {', '.join(KINDS)}")
    if missing is not None and not 0 <= missing <= MOST_MISSING:
        raise InputError(f"missing = {missing:g}: a share from 0 to {MOST_MISSING:g} is needed")
    if shape is not None and (len(shape) != 3 or shape[0] < 4 or min(shape[1:]) < 32):
        raise InputError(f"shape = {shape}: needs three numbers (z, y, x), at least 4 slices of 32 x 32 voxels")
