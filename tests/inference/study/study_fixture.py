"""A STUDY folder as training leaves it: three cells of known quality over the cases of the small run."""

from pathlib import Path

import numpy as np

from autoseg.image.image import Image, write_image
from autoseg.plan.plan import read_plan, write_plan
from autoseg.plan.study_cells import Cell
from autoseg.run_folder.finished_fold import Event, write_finished
from autoseg.run_folder.fold_cases import splits_of_configuration
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import read_splits
from tests.example_fold import finished_fold
from tests.inference.run_fixture import LABELS, STORED, make_run, reference_of

SHIFTS = {"T1": 2, "STIR": 4, "all": 1}
"""By how many voxels the predictions of each set lie too far down."""
CELLS = (
    Cell("T1", ("T1",), "3d"),
    Cell("STIR", ("STIR",), "3d"),
    Cell("all", ("T1", "STIR"), "3d"),
)


def prediction_of(case: int, shift: int) -> np.ndarray:
    return np.roll(reference_of(case), shift, axis=1)


def make_study(path: Path, *, finished: int = 2) -> RunFolder:
    """Cells of one dimension; spine_0 has no STIR and takes no part in that cell."""
    run = make_run(path)
    plan = read_plan(run.plan)
    configurations = dict(plan.configurations)
    for cell in CELLS:
        changes = {"sequences": cell.sequences, "preprocessed_as": "3d"}
        configurations[cell.name] = plan.configurations["3d"].changed(**changes)
    plan = plan.changed(configurations=configurations)
    write_plan(run.plan, plan, {})
    for cell in CELLS:
        for fold, split in enumerate(splits_of_configuration(run, plan, cell.name, read_splits(run.splits))[:finished]):
            for case in split.val:
                array = prediction_of(int(case[-1]), SHIFTS[cell.label])
                write_image(run.cross_validation(cell.name) / f"{case}.nii.gz", Image(array[None], STORED))
            shortened = Event(kind="shortened", step=50, iterations=90, rate_factor=1, reason="late")
            summary = finished_fold(
                fold,
                split,
                steps=90 if cell.label == "all" else 100,
                seconds_training=60.0,
                seconds_validation=1.0,
                events=(shortened,) if cell.label == "all" else (),
                dice={case: [0.5, None] for case in split.val},
                classes=LABELS.foreground,
            )
            write_finished(run, cell.name, fold, summary)
    return run
