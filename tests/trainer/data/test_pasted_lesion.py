from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autoseg.run_folder.preprocessed_case import Foreground, write_case
from tests.example_plan import LABELS
from tests.example_record import example_geometry, example_record
from tests.trainer.cases import make_configuration
from trainer.data.batches import BatchLoader
from trainer.data.case_store import CaseStore, StoredCase
from trainer.data.pasted_lesion import JITTER, SAME_TISSUE, CutLesion, PastedCase, cut_lesion, paste

SHAPE = (30, 40, 50)
AT, SIZE = np.array([10, 12, 25]), np.array([4, 5, 6])
BRIGHTER = 2.0


def write(
    folder: Path, tissue: float, *, lesion: bool = True, organ: bool = False, channels: int = 1, below: int = 0
) -> StoredCase:
    """A case of one brightness, and a brighter box as its lesion; the organ is class 2."""
    image = np.full((channels, *SHAPE), tissue, np.float32)
    label = np.full(SHAPE, 2 if organ else 0, np.uint8)
    box = tuple(slice(a, a + n) for a, n in zip((AT[0] + below, *AT[1:]), SIZE, strict=True))
    if lesion:
        image[:, *box], label[box] = tissue + BRIGHTER, 1
    voxels = np.argwhere(label == 1).astype(np.int32)
    foreground = Foreground(voxels, np.ones(len(voxels), np.uint8), np.zeros(len(voxels), np.int32))
    folder.mkdir(parents=True)
    record = example_record(example_geometry(SHAPE), case=folder.name, present=(True,) * channels)
    write_case(folder, record, image, label, foreground)
    return CaseStore(2**20, tuple(range(channels))).open(folder)


def cut(case: StoredCase) -> CutLesion:
    lesion = cut_lesion(case, np.random.default_rng(0), (8, 8, 8))
    assert lesion is not None
    return lesion


def test_a_pasted_lesion_is_as_much_brighter_than_its_tissue_as_it_was(tmp_path: Path) -> None:
    donor, case = write(tmp_path / "donor", tissue=0.0), write(tmp_path / "case", tissue=0.3, lesion=False)
    pasted = paste(cut(donor), case, np.random.default_rng(1))
    assert pasted is not None and len(pasted.voxels) == SIZE.prod()
    image, label = pasted.read((0, 0, 0), SHAPE)
    assert image[0][label == 1] == pytest.approx(0.3 + BRIGHTER, abs=1e-5)
    assert np.count_nonzero(label == 1) == SIZE.prod() and (label[tuple(pasted.voxels.T)] == 1).all()
    # away from its fading edge nothing is changed, and no voxel is as bright as the lesion
    outside = image[0][label == 0]
    assert np.median(outside) == pytest.approx(0.3) and outside.max() < 0.3 + BRIGHTER
    moved = np.abs(pasted.voxels.mean(axis=0) - (AT + (SIZE - 1) / 2))
    assert (moved <= JITTER * np.array(SHAPE) + 1).all()


def test_a_box_is_read_as_it_lies_in_the_whole_case(tmp_path: Path) -> None:
    donor, case = write(tmp_path / "donor", tissue=0.0), write(tmp_path / "case", tissue=0.0, lesion=False)
    pasted = paste(cut(donor), case, np.random.default_rng(1))
    assert pasted is not None
    whole, labels = pasted.read((0, 0, 0), SHAPE)
    for lower, upper in (((8, 9, 20), (13, 16, 30)), ((0, 0, 0), (5, 5, 5)), ((11, 13, 26), (12, 14, 27))):
        box = tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))
        image, label = pasted.read(lower, upper)
        np.testing.assert_array_equal(image, whole[:, *box])
        np.testing.assert_array_equal(label, labels[box])
    assert not case.read((0, 0, 0), SHAPE)[1].any()  # the case itself stays as it is


@pytest.mark.parametrize(("tissue", "organ"), [(SAME_TISSUE + 0.1, False), (-SAME_TISSUE - 0.1, False), (0.0, True)])
def test_nothing_is_pasted_into_other_tissue_or_another_organ(tmp_path: Path, tissue: float, organ: bool) -> None:
    donor, case = write(tmp_path / "donor", 0.0), write(tmp_path / "case", tissue, lesion=False, organ=organ)
    assert paste(cut(donor), case, np.random.default_rng(1)) is None


def test_a_lesion_stays_in_the_organ_that_it_lay_in_and_never_touches_another_one(tmp_path: Path) -> None:
    donor, case = write(tmp_path / "donor", 0.0, organ=True), write(tmp_path / "case", 0.0, organ=True, below=8)
    found: list[PastedCase] = []
    for seed in range(40):
        pasted = paste(cut(donor), case, np.random.default_rng(seed))
        found += [pasted] if pasted else []
    assert found
    for pasted in found:
        label = pasted.read((0, 0, 0), SHAPE)[1]
        assert np.count_nonzero(label == 1) == 2 * SIZE.prod()


def test_large_lesions_are_not_cut_out(tmp_path: Path) -> None:
    donor = write(tmp_path / "donor", 0.0)
    assert cut_lesion(donor, np.random.default_rng(0), (8, 8, 5)) is None


def patches(folders: list[Path], share: float) -> np.ndarray:
    configuration = make_configuration((12, 16, 16), oversample_foreground=1.0, pasted_lesions=share)
    with BatchLoader(
        folders, configuration, labels=LABELS, seed=3, fold=1, first_step=0, last_step=8, workers=0, augment=False
    ) as loader:
        return np.stack([np.concatenate([b.image[:, 0].numpy(), b.label.numpy()]) for b in loader])


def test_batches_show_pasted_lesions_in_cases_that_have_none(tmp_path: Path) -> None:
    names = [tmp_path / "a", tmp_path / "b"]
    write(names[0], 0.0)
    write(names[1], 0.4, lesion=False)
    plain, all_pasted = patches(names, 0.0), patches(names, 1.0)
    # with one case that has lesions, a plain foreground patch is always of that case
    assert not (plain == np.float32(0.4 + BRIGHTER)).any()
    assert (np.abs(all_pasted - np.float32(0.4 + BRIGHTER)) < 1e-5).any()
    np.testing.assert_array_equal(all_pasted, patches(names, 1.0))


def test_a_lesion_is_not_pasted_into_a_case_with_other_sequences(tmp_path: Path) -> None:
    names = [tmp_path / "a", tmp_path / "b"]
    write(names[0], 0.0, channels=2)
    other = write(names[1], 0.0, lesion=False, channels=2)
    record = replace(other, record=other.record.changed(present=(True, False))).record
    (names[1] / "case.json").write_text(record.model_dump_json())
    configuration = make_configuration((12, 16, 16), oversample_foreground=1.0, pasted_lesions=1.0)
    with BatchLoader(
        names, configuration, labels=LABELS, seed=3, fold=1, first_step=0, last_step=8, workers=0
    ) as loader:
        dataset = loader._dataset
        assert all(dataset._pasted(np.random.default_rng(seed)) is None for seed in range(20))
