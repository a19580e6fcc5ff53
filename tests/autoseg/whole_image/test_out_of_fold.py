"""Out-of-fold probabilities on disk: what comes back, how small they are, what is said of damage."""

import numpy as np
import pytest

from autoseg.errors import RunFolderError
from autoseg.whole_image.case_probabilities import LEVELS
from autoseg.whole_image.out_of_fold import array_file, read_probabilities, write_probabilities
from tests.autoseg.whole_image.probabilities import random_probabilities, record

SHAPE = (40, 70, 65)


@pytest.fixture
def written(tmp_path):
    probabilities = random_probabilities(SHAPE).astype(np.float16)
    case = record(SHAPE)
    write_probabilities(tmp_path / "probabilities", case, probabilities)
    return tmp_path / "probabilities", case, probabilities


def test_they_come_back_in_8_bit_with_the_way_back(written):
    folder, case, probabilities = written
    read = read_probabilities(folder, "a")
    assert read.record == case
    assert np.abs(read.probabilities / LEVELS - probabilities).max() < 1.6 / LEVELS
    assert sorted(p.name for p in folder.iterdir()) == ["a.b2nd", "a.json"]


def test_written_again_they_are_the_new_ones(written):
    folder, case, probabilities = written
    write_probabilities(folder, case, probabilities[::-1])
    assert np.abs(read_probabilities(folder, "a").probabilities / LEVELS - probabilities[::-1]).max() < 1.6 / LEVELS


def test_a_structure_in_an_empty_image_takes_little_room(tmp_path):
    foreground = np.zeros(SHAPE, np.float16)
    foreground[10:20, 10:20, 10:20] = np.linspace(0, 1, 10)
    write_probabilities(tmp_path, record(SHAPE), np.stack([1 - foreground, foreground]))
    assert array_file(tmp_path, "a").stat().st_size < foreground.size / 50


@pytest.mark.parametrize("damage", ["absent", "cut", "no record", "other record"])
def test_damage_is_named_with_what_to_do(written, damage):
    folder, case, _ = written
    file = array_file(folder, "a")
    if damage == "absent":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:100])
    elif damage == "no record":
        (folder / "a.json").unlink()
    else:
        other = case.changed(shape=(40, 70, 64))
        (folder / "a.json").write_text(other.model_dump_json(), encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"a\.b2nd: .*train"):
        read_probabilities(folder, "a")
