"""Preprocessed cases of noise with balls in them, for the parts that train or load."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autoseg.image.geometry import Shape
from autoseg.image.image import Image, write_image
from autoseg.plan.configuration import Training
from autoseg.plan.plan import Plan, write_plan
from autoseg.preprocessing.foreground import sample_foreground
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import write_case
from autoseg.run_folder.splits import Split, write_splits
from benchmarks.made_data import record_as_stored


def write_run(run: RunFolder, plan: Plan, name: str, shape: Shape, count: int, **training: object) -> None:
    """Write a plan with preprocessed cases, of which the last four validate fold 0.

    Args:
        run: RUN folder to make.
        plan: plan with the configuration.
        name: name of the configuration.
        shape: shape (z, y, x) of a case.
        count: number of cases.
        training: training settings that differ from the plan's.
    """
    configuration = plan.configuration(name)
    settings: Training = configuration.training.changed(**training)
    plan = plan.changed(configurations={name: configuration.changed(training=settings)})
    run.path.mkdir(parents=True, exist_ok=True)
    write_plan(run.plan, plan, {})
    write_plan(run.planned, plan, {})
    names = [f"case_{i}" for i in range(count)]
    for seed, case in enumerate(names):
        write_ball(run, plan, name, case, shape, seed)
    write_splits(run.splits, (Split(train=tuple(names[:-4]), val=tuple(names[-4:])),))


def write_ball(run: RunFolder, plan: Plan, name: str, case: str, shape: Shape, seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = ball(rng, shape)
    image = (label + rng.normal(size=(len(plan.channels), *shape))).astype(np.float32)
    record = record_as_stored(case, shape, len(plan.channels))
    folder = run.case(name, case)
    folder.mkdir(parents=True)
    write_case(folder, record, image, label, sample_foreground(label, rng, plan.labels))
    write_image(folder / "reference.nii.gz", Image(label[None], record.stored))


def ball(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """A label (z, y, x) of one ball."""
    radius = min(shape) / 5
    centre = [rng.uniform(radius, n - radius) for n in shape]
    axes = np.meshgrid(*map(np.arange, shape), indexing="ij", sparse=True)
    distance = sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True))
    return np.asarray(distance < radius**2, np.uint8)
