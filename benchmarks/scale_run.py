"""Makes a data set and a RUN folder of many cases for `benchmarks.scale`, with the real files and stand-ins for voxels.

The images are one tiny NIfTI file, written under many names. Plan, folds, fingerprint, records and marks are written by
autoseg's own functions; of a preprocessed case, the two files that are read for scheduling are real.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg.dataset.case import Dataset
from autoseg.dataset.fingerprint import write_fingerprint
from autoseg.dataset.read import read_dataset
from autoseg.dataset.record import DatasetRecord, record_of
from autoseg.files import folder_replaced_when_done
from autoseg.image.image import Image, write_image
from autoseg.machine.cores import available_cores
from autoseg.plan.plan import ForegroundIntensity, write_plan
from autoseg.run_folder.dataset_record import write_record
from autoseg.run_folder.finished_fold import Finished, write_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, write_splits
from autoseg.work.request import Request, write_request
from benchmarks.made_data import fingerprint_of_equal_cases, record_as_stored
from planner.preprocess import MARKER, Task, _decided_by
from planner.rules.reference_plan import reference_plan

FOLDS = 5
CLASSES = ("organ", "lesion")
SHAPE = (8, 8, 8)
STAND_INS = ("image.b2nd", "label.b2nd", "foreground.safetensors", "reference.nii.gz", "checksums.sha256")
"""Files of a preprocessed case that scheduling does not open; they are left empty."""


@dataclass(frozen=True)
class Made:
    """A data set, and a RUN folder that is planned but not prepared.

    Args:
        images: folder of the images.
        run: RUN folder.
        dataset: the data set as it is read.
        record: its record in the RUN folder.
    """

    images: Path
    run: RunFolder
    dataset: Dataset
    record: DatasetRecord


def made(folder: Path, cases: int, parts: int) -> Made:
    """Make a data set of so many cases and its RUN folder, whose preparation has so many parts."""
    names = [f"case_{number:06d}" for number in range(cases)]
    dataset = read_dataset(_raw(folder / "raw", names))
    run = RunFolder(folder / "run")
    run.path.mkdir(parents=True)
    record = record_of(dataset, workers=available_cores())
    write_record(run, record)
    fingerprint = fingerprint_of_equal_cases(
        "many",
        SHAPE,
        (1.0, 1.0, 1.0),
        cases=names,
        channels=("T1",),
        foreground=CLASSES,
        volume_mm3=100.0,
        intensity=ForegroundIntensity(mean=100, sd=20, median=100, percentile_00_5=50, percentile_99_5=150),
    )
    write_fingerprint(run.fingerprint, fingerprint)
    decided = reference_plan(fingerprint)
    write_plan(run.plan, decided.plan, decided.reasons)
    write_splits(run.splits, folds_of(names))
    write_request(run, Request(dataset=str(folder / "raw"), configurations=("3d",), folds=FOLDS, parts=parts))
    return Made(folder / "raw" / "imagesTr", run, dataset, record)


def folds_of(names: Sequence[str]) -> tuple[Split, ...]:
    """Each case validates one fold and is trained on in the others."""
    return tuple(
        Split(train=tuple(name for i, name in enumerate(names) if i % FOLDS != fold), val=tuple(names[fold::FOLDS]))
        for fold in range(FOLDS)
    )


def _raw(folder: Path, names: Sequence[str]) -> Path:
    """A data set in nnU-Net's layout."""
    for kind in ("imagesTr", "labelsTr"):
        (folder / kind).mkdir(parents=True)
    geometry = record_as_stored("case", SHAPE, 1).stored
    write_image(folder / "image.nii.gz", Image(np.ones((1, *SHAPE), np.uint8), geometry))
    content = (folder / "image.nii.gz").read_bytes()
    (folder / "image.nii.gz").unlink()
    for name in names:
        (folder / "imagesTr" / f"{name}_0000.nii.gz").write_bytes(content)
        (folder / "labelsTr" / f"{name}.nii.gz").write_bytes(content)
    told = {
        "name": "many",
        "channel_names": {"0": "T1"},
        "labels": {"background": 0} | {name: number for number, name in enumerate(CLASSES, start=1)},
        "numTraining": len(names),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def prepare_nothing(task: Task) -> tuple[str, ...]:
    """Stand-in for preprocessing a case: its folder appears whole, with the files that are read for scheduling."""
    with folder_replaced_when_done(task.folder) as folder:
        record = record_as_stored(task.case.name, SHAPE, 1).changed(nifti=None)
        (folder / "case.json").write_text(record.model_dump_json(), encoding="utf-8")
        (folder / MARKER).write_text(_decided_by(task).model_dump_json(indent=1), encoding="utf-8")
    return ()


def add_stand_ins(folder: Path) -> None:
    """Give every preprocessed case in a folder as many files as it has after real preprocessing."""
    for case in os.scandir(folder):
        if case.is_dir() and not case.name.startswith("."):
            for name in STAND_INS:
                Path(case.path, name).touch()


def finish_folds(run: RunFolder, splits: Sequence[Split]) -> None:
    """Let every fold look finished; the weights are empty files."""
    for fold, split in enumerate(splits):
        run.fold("3d", fold).mkdir(parents=True)
        run.weights("3d", fold).touch()
        finished = Finished(
            fold=fold,
            steps=1,
            seconds_training=3600.0,
            seconds_validation=60.0,
            device="cpu",
            threads=1,
            torch_version="2",
            events=(),
            train=split.train,
            dice={case: [0.9] * len(CLASSES) for case in split.val},
            classes=CLASSES,
        )
        write_finished(run, "3d", fold, finished)
