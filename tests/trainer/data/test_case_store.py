"""How the foreground voxels of a stored case are drawn."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare

from autoseg.errors import TrainingDataError
from autoseg.preprocessing.foreground import sample_foreground
from autoseg.run_folder.preprocessed_case import open_case, write_case
from tests.example_plan import LABELS
from tests.example_record import example_geometry, example_record
from tests.trainer.cases import write_noise_case
from trainer.data.case_store import CaseStore

SHAPE = (20, 30, 30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A case with a lesion of 4000 voxels, of which a few hundred are kept, and one of 8."""
    label = np.zeros(SHAPE, np.uint8)
    label[:10, :20, :20] = 1
    label[16:18, 26:28, 26:28] = 1
    folder = tmp_path / "case"
    folder.mkdir()
    foreground = sample_foreground(label, np.random.default_rng(0), LABELS, per_class=300)
    record = example_record(example_geometry(SHAPE), case="case", present=(True,))
    write_case(folder, record, np.zeros((1, *SHAPE), np.float32), label, foreground)
    return folder


def share_in_the_small_lesion(folder: Path, by: str, draws: int = 4000) -> tuple[int, int]:
    lesions = CaseStore(2**20, (0,), by).open(folder).lesions
    rng = np.random.default_rng(1)
    small = sum(int(lesions.draw(rng)[0] >= 16) for _ in range(draws))
    return small, draws - small


def test_by_lesion_the_small_one_is_drawn_as_often(folder: Path) -> None:
    assert chisquare(share_in_the_small_lesion(folder, "lesion")).pvalue > 1e-3


def test_by_voxel_it_is_drawn_as_often_as_its_voxels_are_many(folder: Path) -> None:
    drawn = share_in_the_small_lesion(folder, "voxel", 20000)
    assert chisquare(drawn, np.array([8, 4000]) / 4008 * 20000).pvalue > 1e-3


def test_the_weights_survive_the_file(folder: Path) -> None:
    weights = open_case(folder).foreground.weights
    assert weights is not None and weights.sum() == pytest.approx(4008)


def test_a_case_of_an_earlier_version_is_named_where_voxels_are_drawn(tmp_path: Path) -> None:
    write_noise_case(tmp_path / "old", SHAPE, seed=0)
    assert CaseStore(2**20, (0,), "lesion").open(tmp_path / "old").lesions.classes == (1, 2)
    with pytest.raises(TrainingDataError, match=r"old: preprocessed by an earlier version.*plan-and-preprocess"):
        CaseStore(2**20, (0,), "voxel").open(tmp_path / "old")
