"""A RUN folder as the stages before evaluation leave it: small, anisotropic, sagittal, two sequences."""

from pathlib import Path

import numpy as np

from autoseg.dataset.record import CaseSource, DatasetRecord, FileRecord
from autoseg.image.geometry import Geometry, to_canonical
from autoseg.image.image import Image, write_image
from autoseg.image.labels import Labels
from autoseg.plan.plan import Plan, write_plan
from autoseg.run_folder.dataset_record import write_record
from autoseg.run_folder.finished_fold import Event, write_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import Foreground, write_case
from autoseg.run_folder.splits import Split, write_splits
from tests.example_fold import finished_fold
from tests.example_plan import example_channel, example_configuration, example_network, example_plan, example_training
from tests.example_record import example_record

LABELS = Labels(values=(0, 3, 8), names=("background", "body", "lesion"))
# array axes grow to left, inferior, posterior: sagittal slices, 4 mm apart
STORED = Geometry((9, 64, 48), (4.0, 1.0, 1.0), (-16.0, -24.0, 32.0), ((1, 0, 0), (0, 0, -1), (0, 1, 0)))
CROP_LOWER, CROP_UPPER = (4, 4, 0), (60, 44, 9)
CASES = tuple(f"spine_{i}" for i in range(6))


def make_plan() -> Plan:
    configuration = example_configuration(
        spacing=(2.0, 2.0, 4.0),
        median_shape=(28, 20, 9),
        patch_size=(28, 20, 9),
        network=example_network(strides=((1, 1, 1), (2, 2, 1)), kernel_sizes=((3, 3, 1), (3, 3, 3))),
        training=example_training(iterations=100, iterations_per_epoch=50),
    )
    return example_plan(
        dataset="spine <test>",
        channels=(example_channel("T1"), example_channel("STIR")),
        labels=LABELS,
        configurations={"3d": configuration},
    )


def reference_of(case: int) -> np.ndarray:
    """Stored label map (left, inferior, posterior) in file values: a column of bodies, lesions in odd cases."""
    label = np.zeros(STORED.shape, np.int16)
    for top in range(8, 52, 11):
        label[2:7, top : top + 8, 16:32] = 3
    if case % 2:
        label[3:5, 21:25, 18 : 20 + case] = 8
        label[5, 43:45, 25:27] = 8
    return label


def make_run(path: Path, *, finished: int = 2) -> RunFolder:
    """A run of two folds; every prediction is its reference one voxel further down, without the small lesion."""
    run = RunFolder(path)
    write_plan(run.plan, make_plan(), {"configurations.3d.spacing": "twice as coarse: it is a test"})
    splits = (Split(train=CASES[3:], val=CASES[:3]), Split(train=CASES[:3], val=CASES[3:]))
    write_splits(run.splits, splits)
    file = FileRecord(path="images/a.nii.gz", size=1, modified=1)
    sources = [
        CaseSource(
            name=name,
            patient=None,
            strata={"lesion_type": "lytic" if i % 2 else "none"},
            images=(file, None if i == 0 else file),
            label=file,
        )
        for i, name in enumerate(CASES)
    ]
    write_record(
        run,
        DatasetRecord(
            name="spine <test>",
            description="Voxels: 4 mm <slices>.",
            layout="table",
            channels=("T1", "STIR"),
            ct=(False, False),
            labels=LABELS,
            file_ending=".nii.gz",
            cases=tuple(sources),
        ),
    )
    for i, name in enumerate(CASES):
        _write_preprocessed(run, i, name)
        if i // 3 < finished:
            prediction = np.roll(reference_of(i), 1, axis=1)
            prediction[5, 42:47, 25:27] = np.where(prediction[5, 42:47, 25:27] == 8, 3, prediction[5, 42:47, 25:27])
            write_image(run.cross_validation("3d") / f"{name}.nii.gz", Image(prediction[None], STORED))
    for fold in range(finished):
        event = Event(kind="shortened", step=50, iterations=100, rate_factor=1, reason="the machine slowed down")
        done = finished_fold(
            fold,
            splits[fold],
            steps=100,
            seconds_training=75.0,
            seconds_validation=9.0,
            events=(event,),
            dice={case: [0.5, None] for case in splits[fold].val},
            classes=LABELS.foreground,
        )
        write_finished(run, "3d", fold, done)
        (run.fold("3d", fold) / "log.csv").write_text(
            "epoch,step,learning_rate,loss,train_dice,val_dice,seconds\n1,50,0.01,0.9,0.3,,30\n2,100,0.0,0.4,0.7,0.65,75\n",
            encoding="utf-8",
        )
    return run


def _write_preprocessed(run: RunFolder, i: int, name: str) -> None:
    folder = run.case("3d", name)
    folder.mkdir(parents=True)
    turn = to_canonical(STORED)
    label = LABELS.to_classes(turn.apply(reference_of(i)))
    box = tuple(slice(a, b) for a, b in zip(CROP_LOWER, CROP_UPPER, strict=True))
    small = np.ascontiguousarray(label[box][::2, ::2])
    image = np.random.default_rng(i).normal(0, 0.1, (2, *small.shape)).astype(np.float32)
    image += np.stack([small == 1, small == 2]).astype(np.float32)
    record = example_record(
        STORED,
        case=name,
        reorientation=turn,
        crop_lower=CROP_LOWER,
        crop_upper=CROP_UPPER,
        spacing=(2.0, 2.0, 4.0),
        shape=(28, 20, 9),
        present=(True, i != 0),
    )
    if i == 0:
        image[1] = 0
    nothing = Foreground(np.zeros((0, 3), np.int32), np.zeros(0, np.uint8), np.zeros(0, np.int32))
    write_case(folder, record, image, small, nothing)
    write_image(folder / "reference.nii.gz", Image(reference_of(i)[None], STORED))
