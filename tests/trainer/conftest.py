"""A tiny run, preprocessed, whose fold trains in seconds: bright balls on noise."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from autoseg.image.geometry import IDENTITY, Geometry
from autoseg.image.image import Image, write_image
from autoseg.image.labels import Labels
from autoseg.machine.threads import Threads
from autoseg.plan.configuration import Configuration, Network, Prediction, Training
from autoseg.plan.plan import Channel, ForegroundIntensity, Plan, write_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.preprocessed_case import CaseRecord, Foreground, write_case
from autoseg.run_folder.splits import Split, write_splits

SHAPE = (12, 16, 20)


@pytest.fixture(autouse=True)
def threads_stay(monkeypatch) -> None:
    """Bits depend on threads, and threads on what else this machine does while it tests."""
    monkeypatch.setattr(Threads, "look", lambda self: self.count)


def make_training(**changes: object) -> Training:
    settings = {
        "iterations": 12,
        "iterations_per_epoch": 4,
        "optimizer": "adamw",
        "learning_rate": 3e-3,
        "warmup": 0.1,
        "weight_decay": 0.01,
        "gradient_clip": 12.0,
        "average_decay": 0.9,
        "oversample_foreground": 0.5,
        "batch_dice": False,
        "deep_supervision": True,
        "rotation": (15.0, 15.0, 15.0),
        "scaling": (0.8, 1.2),
        "elastic": 0.0,
        "mirror": (0, 1, 2),
        "validate_every": 2,
        "seconds": None,
    }
    return Training.model_validate(settings | changes)


@pytest.fixture
def training() -> Callable[..., Training]:
    return make_training


def make_plan(training: Training) -> Plan:
    network = Network(
        architecture="plain",
        features=(4, 8),
        strides=((1, 1, 1), (2, 2, 2)),
        kernel_sizes=((3, 3, 3), (3, 3, 3)),
        encoder_blocks=(1, 1),
        decoder_blocks=(1,),
    )
    configuration = Configuration(
        spacing=(1.0, 1.0, 1.0),
        median_shape=SHAPE,
        patch_size=(8, 12, 12),
        batch_size=2,
        slice_axis=None,
        network=network,
        training=training,
        prediction=Prediction(overlap=0.5, mirror=()),
    )
    intensity = ForegroundIntensity(mean=0, sd=1, median=0, percentile_00_5=-1, percentile_99_5=1)
    return Plan(
        dataset="balls",
        orientation="canonical",
        transpose_forward=(0, 1, 2),
        memory_gb=8,
        device="cpu",
        time_budget_seconds=None,
        seed=7,
        channels=(Channel(name="T1", normalization="z_score", inside_nonzero_mask=False, foreground=intensity),),
        labels=Labels(values=(0, 5), names=("background", "ball")),
        configurations={"3d": configuration},
    )


def write_ball(run: RunFolder, name: str, rng: np.random.Generator) -> None:
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), -1)
    centre = rng.uniform(4, np.array(SHAPE) - 4)
    label = (np.linalg.norm(grid - centre, axis=-1) < 3.5).astype(np.uint8)
    image = (3.0 * label + rng.normal(0, 0.5, SHAPE)).astype(np.float32)
    store_case(run, name, image[None], label, (True,))


def store_case(run: RunFolder, name: str, image: np.ndarray, label: np.ndarray, present: tuple[bool, ...]) -> None:
    """A preprocessed case of `3d`: image (channel, z, y, x), label (z, y, x) of one lesion, 5 in the reference."""
    geometry = Geometry(SHAPE, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)))
    record = CaseRecord(
        case=name,
        stored=geometry,
        reorientation=IDENTITY,
        crop_lower=(0, 0, 0),
        crop_upper=SHAPE,
        spacing=(1.0, 1.0, 1.0),
        shape=SHAPE,
        present=present,
    )
    voxels = np.argwhere(label).astype(np.int32)
    ones = np.ones(len(voxels), dtype=np.uint8)
    folder = run.case("3d", name)
    folder.mkdir(parents=True)
    write_case(folder, record, image, label, Foreground(voxels, ones, np.zeros(len(voxels), dtype=np.int32)))
    write_image(folder / "reference.nii.gz", Image(label[None] * np.uint8(5), geometry))


def make_run(folder: Path, training: Training) -> RunFolder:
    run = RunFolder(folder)
    rng = np.random.default_rng(0)
    names = tuple(f"ball_{i}" for i in range(5))
    for name in names:
        write_ball(run, name, rng)
    write_plan(run.plan, make_plan(training), {})
    write_splits(run.splits, (Split(train=names[:4], val=names[4:]),))
    return run


@pytest.fixture
def tiny_run(tmp_path: Path) -> Callable[..., RunFolder]:
    """Function that makes a RUN with one fold; keyword arguments change its training settings."""
    return lambda where="run", **changes: make_run(tmp_path / where, make_training(**changes))
