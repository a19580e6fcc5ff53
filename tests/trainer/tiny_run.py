"""A tiny run, preprocessed, whose fold trains in seconds: bright balls on noise."""

from pathlib import Path

import numpy as np

from autoseg.image.image import Image, write_image
from autoseg.image.labels import Labels
from autoseg.plan.configuration import Prediction, Training
from autoseg.plan.plan import Plan, write_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import Foreground, write_case
from autoseg.run_folder.splits import Split, write_splits
from tests.example_plan import example_channel, example_configuration, example_network, example_plan, example_training
from tests.example_record import example_geometry, example_record

SHAPE = (12, 16, 20)
LABELS = Labels(values=(0, 5), names=("background", "ball"))


def make_training(**changes: object) -> Training:
    """Settings by which a fold of the run learns in three epochs, with its patches rotated, scaled and mirrored."""
    settings = {
        "iterations": 12,
        "iterations_per_epoch": 4,
        "optimizer": "adamw",
        "learning_rate": 3e-3,
        "warmup": 0.1,
        "weight_decay": 0.01,
        "average_decay": 0.9,
        "oversample_foreground": 0.5,
        "deep_supervision": True,
        "rotation": (15.0, 15.0, 15.0),
        "scaling": (0.8, 1.2),
        "mirror": (0, 1, 2),
        "validate_every": 2,
    }
    return example_training(**settings | changes)


def make_plan(training: Training) -> Plan:
    configuration = example_configuration(
        spacing=(1.0, 1.0, 1.0),
        median_shape=SHAPE,
        patch_size=(8, 12, 12),
        batch_size=2,
        network=example_network(features=(4, 8), encoder_blocks=(1, 1), decoder_blocks=(1,)),
        training=training,
        prediction=Prediction(overlap=0.5, mirror=()),
    )
    channels = (example_channel("T1", normalization="z_score"),)
    return example_plan(dataset="balls", seed=7, channels=channels, labels=LABELS, configurations={"3d": configuration})


def draw_ball(rng: np.random.Generator) -> np.ndarray:
    """Label (z, y, x) of a ball somewhere in the image."""
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), -1)
    centre = rng.uniform(4, np.array(SHAPE) - 4)
    return (np.linalg.norm(grid - centre, axis=-1) < 3.5).astype(np.uint8)


def write_ball(run: RunFolder, name: str, rng: np.random.Generator) -> None:
    label = draw_ball(rng)
    image = (3.0 * label + rng.normal(0, 0.5, SHAPE)).astype(np.float32)
    store_case(run, name, image[None], label, (True,))


def store_case(run: RunFolder, name: str, image: np.ndarray, label: np.ndarray, present: tuple[bool, ...]) -> None:
    """A preprocessed case of `3d`: image (channel, z, y, x), label (z, y, x) of one lesion, 5 in the reference."""
    geometry = example_geometry(SHAPE)
    voxels = np.argwhere(label).astype(np.int32)
    ones = np.ones(len(voxels), dtype=np.uint8)
    folder = run.case("3d", name)
    folder.mkdir(parents=True)
    foreground = Foreground(voxels, ones, np.zeros(len(voxels), dtype=np.int32))
    write_case(folder, example_record(geometry, case=name, present=present), image, label, foreground)
    write_image(folder / "reference.nii.gz", Image(label[None] * np.uint8(5), geometry))


def store_partly(run: RunFolder, name: str) -> None:
    """Replace a case by one in which nobody looked for the ball, so that its label is empty."""
    rng = np.random.default_rng(len(name))
    image = (3.0 * draw_ball(rng) + rng.normal(0, 0.5, SHAPE)).astype(np.float32)
    folder, empty = run.case("3d", name), np.zeros(SHAPE, np.uint8)
    nothing = Foreground(np.zeros((0, 3), np.int32), np.zeros(0, np.uint8), np.zeros(0, np.int32))
    record = example_record(example_geometry(SHAPE), case=name).changed(annotated=("another",))
    write_case(folder, record, image[None], empty, nothing)
    write_image(folder / "reference.nii.gz", Image(empty[None], example_geometry(SHAPE)))


def make_run(folder: Path, training: Training) -> RunFolder:
    run = RunFolder(folder)
    rng = np.random.default_rng(0)
    names = tuple(f"ball_{i}" for i in range(5))
    for name in names:
        write_ball(run, name, rng)
    write_plan(run.plan, make_plan(training), {})
    write_splits(run.splits, (Split(train=names[:4], val=names[4:]),))
    return run
