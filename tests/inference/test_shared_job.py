"""Two processes share cases where models, plan and options are the same, wherever the RUN folder lies."""

import shutil

import pytest
import torch
from rich.console import Console

from autoseg.network.weights import save_weights
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from inference.ensemble_groups import load_group
from inference.shared_job import shared_job
from inference.writers import OutputFormat
from tests.inference.bright_run import run

__all__ = ["run"]


def job(run: RunFolder, wanted: OutputFormat | None = None) -> str:
    plan = read_plan(run.plan)
    device = torch.device("cpu")
    groups = [load_group(run, plan, "3d", None, device=device, mirror=None, console=Console(quiet=True))]
    return shared_job(run, plan, groups, wanted or OutputFormat(), (True, None))


@pytest.fixture
def trained(run) -> RunFolder:
    """Two finished folds with weights that state their checksums."""
    for fold in range(2):
        save_weights(run.weights("3d", fold), {"weight": torch.full((3,), float(fold))})
    return run


def test_a_copy_of_the_models_is_the_same(trained, tmp_path) -> None:
    copy = RunFolder(tmp_path / "copy")
    shutil.copytree(trained.path, copy.path)
    # as of a copy without the names of cases
    copy.finished("3d", 0).write_text(copy.finished("3d", 0).read_text() + " ")
    assert job(copy) == job(trained)


def test_other_weights_are_another_job_whatever_is_said_of_their_training(trained) -> None:
    before = job(trained)
    save_weights(trained.weights("3d", 1), {"weight": torch.full((3,), 7.0)})
    assert job(trained) != before


@pytest.mark.parametrize("changed", [{"name": "seg.nrrd"}, {"name": "dicom-seg"}, {"seg_type": "fractional"}])
def test_another_format_is_another_job(trained, changed) -> None:
    assert job(trained, OutputFormat(**changed)) != job(trained)
