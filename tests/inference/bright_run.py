"""A run whose network needs no training, and inputs for it."""

import io

import numpy as np
import pytest
import torch
from rich.console import Console

import inference.ensemble
from autoseg.dataset.fingerprint import Fingerprint, write_fingerprint
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, write_image
from autoseg.image.labels import Labels
from autoseg.plan.plan import ForegroundIntensity, read_plan, write_plan
from autoseg.run_folder.finished_fold import write_finished
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split
from inference.predict import predict_cases
from planner.rules.reference_plan import reference_plan
from tests.example_fingerprint import example_case_fingerprint, example_fingerprint, one_structure
from tests.example_fold import finished_fold
from tests.example_record import STRAIGHT

SHAPE = (18, 20, 22)
LABELS = Labels(values=(0, 500), names=("background", "bright"))


class AboveMean(torch.nn.Module):
    """A network that finds the voxels brighter than their image's mean (0 after the z-score)."""

    def __init__(self, sign: float = 1.0, log: list | None = None):
        super().__init__()
        self.sign, self.log = sign, log

    def forward(self, x):
        if self.log is not None:
            self.log.append(tuple(x.shape))
        bright = 20 * self.sign * x[:, :1]
        return torch.cat([-bright, bright], 1)


def fingerprint() -> Fingerprint:
    cases = [
        example_case_fingerprint(
            f"train_{i}", shape=SHAPE, spacing=(1.0, 1.0, 1.0), classes={"bright": one_structure(100.0)}
        )
        for i in range(3)
    ]
    return example_fingerprint(
        cases,
        labels=LABELS,
        intensities=(ForegroundIntensity(mean=100, sd=20, median=100, percentile_00_5=50, percentile_99_5=150),),
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run with two finished folds and one that was stopped; every model is `AboveMean`."""
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    write_fingerprint(run.fingerprint, fingerprint())
    decided = reference_plan(fingerprint())
    write_plan(run.plan, decided.plan, decided.reasons)
    for fold in range(3):
        run.fold("3d", fold).mkdir(parents=True)
        run.weights("3d", fold).touch()
        if fold < 2:
            write_finished(run, "3d", fold, finished_fold(fold, Split(train=(), val=())))
    monkeypatch.setattr(inference.ensemble, "load_network", lambda *arguments: AboveMean())
    return run


def flat(run):
    """Add a finished fold of `2d`, which takes slices along z."""
    assert read_plan(run.plan).configuration("2d").slice_axis == 0
    run.fold("2d", 0).mkdir(parents=True)
    run.weights("2d", 0).touch()
    write_finished(run, "2d", 0, finished_fold(0, Split(train=(), val=())))


def voxels(seed=0, shape=SHAPE):
    """Intensities from 50 to 150, none of them zero or close to the mean."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < 0.4, rng.uniform(120, 150, shape), rng.uniform(50, 80, shape)).astype(
        np.float32
    )


def straight(shape=SHAPE, spacing=(1.0, 1.0, 1.0)):
    return Geometry(shape, spacing, (-11.5, 20.25, 3.0), STRAIGHT)


def predict(run, cases, output, configuration="3d", **options):
    errors = Console(file=io.StringIO(), width=200)
    problems = predict_cases(run, cases, output, configuration=configuration, device="cpu", console=errors, **options)
    return problems, errors.file.getvalue()


def write(path, array, geometry=None):
    write_image(path, Image(array[None], geometry or straight(array.shape)))
    return path
