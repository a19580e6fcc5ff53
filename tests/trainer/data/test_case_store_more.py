"""Where patches lie in cases of which a part is not annotated."""

from pathlib import Path

import numpy as np
import pytest

from autoseg.preprocessing.foreground import sample_foreground
from autoseg.run_folder.preprocessed_case import open_case, write_case
from tests.example_plan import LABELS
from tests.example_record import example_geometry, example_record
from tests.trainer.cases import make_configuration
from trainer.data.batches import BatchLoader
from trainer.data.case_store import annotated_voxels, has_foreground

SHAPE = (30, 32, 34)
SPARSE = LABELS.changed(ignore=3)


def write(folder: Path, *, foreground: bool = True) -> np.ndarray:
    """A case of noise of which three slices are annotated, with an organ in one of them; its label (z, y, x)."""
    label = np.full(SHAPE, 3, np.uint8)
    label[4:7] = 0
    if foreground:
        label[5, 10:14, 10:14] = 1
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    image = random.standard_normal((1, *SHAPE)).astype(np.float32)
    record = example_record(example_geometry(SHAPE), case=folder.name)
    write_case(folder, record, image, label, sample_foreground(label, random, SPARSE, per_class=200))
    return label


@pytest.mark.parametrize("foreground", [True, False])
def test_every_patch_shows_annotated_voxels(tmp_path: Path, foreground: bool) -> None:
    write(tmp_path / "a", foreground=foreground)
    assert has_foreground(tmp_path / "a") is foreground
    configuration = make_configuration((6, 8, 8), oversample_foreground=0.5)
    options = {"labels": SPARSE, "seed": 1, "fold": 0, "first_step": 0, "last_step": 40, "workers": 0, "augment": False}
    with BatchLoader([tmp_path / "a"], configuration, **options) as loader:  # type: ignore[arg-type]
        batches = list(loader)
    assert all((batch.label != 3).flatten(1).any(1).all() for batch in batches)
    shown = [(batch.label[place] == 1).any().item() for batch in batches for place in range(2)]
    # foreground patches are the last ones of each batch; the others see it by chance alone
    assert all(shown[1::2]) is foreground and not all(shown[::2])


def test_annotated_voxels_are_drawn_and_are_no_foreground(tmp_path: Path) -> None:
    label = write(tmp_path / "a")
    drawn = open_case(tmp_path / "a").foreground
    found = annotated_voxels(drawn)
    assert found is not None and len(found) == 200
    assert (label[tuple(found.T)] < 3).all() and len({tuple(voxel) for voxel in found}) > 180
    foreground = drawn.voxels[drawn.classes > 0]
    assert set(drawn.classes) == {0, 1} and (label[tuple(foreground.T)] == 1).all()


def test_regions_are_drawn_each_by_itself() -> None:
    label = np.zeros(SHAPE, np.uint8)
    label[5:15, 5:15, 5:15] = 1
    label[8:11, 8:11, 8:11] = 2
    labels = LABELS.changed(
        regions=({"name": "both", "values": (1, 2), "value": 1}, {"name": "core", "values": (2,), "value": 2})
    )
    drawn = sample_foreground(label, np.random.default_rng(0), labels, per_class=300)
    assert np.bincount(drawn.classes).tolist() == [0, 300, 27]
    # the core is part of the one lesion of both
    assert (label[tuple(drawn.voxels[drawn.classes == 1].T)] > 0).all() and not drawn.lesions.any()
    assert (label[tuple(drawn.voxels[drawn.classes == 2].T)] == 2).all()
    # every voxel of the case is annotated, so none is stored for it
    assert annotated_voxels(sample_foreground(label, np.random.default_rng(0), SPARSE)) is None
