"""Weights that were damaged on a disk predict nothing; those without a checksum are read with a word."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from autoseg.errors import RunFolderError
from autoseg.network.build import network_by_plan
from autoseg.network.weights import load_network, save_weights, stated_checksum
from autoseg.run_folder.paths import RunFolder
from tests.example_plan import example_plan


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path)
    plan = example_plan()
    torch.manual_seed(0)
    made.fold("3d", 0).mkdir(parents=True)
    save_weights(made.weights("3d", 0), network_by_plan(plan, plan.configuration("3d")).state_dict())
    return made


def test_a_turned_byte_of_a_weight_is_noticed(run: RunFolder, capfd) -> None:
    load_network(run, example_plan(), "3d", 0, "cpu")
    assert capfd.readouterr().err == ""
    path = run.weights("3d", 0)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunFolderError, match=r"weights\.safetensors: is damaged.*copy it again"):
        load_network(run, example_plan(), "3d", 0, "cpu")


def test_weights_of_an_earlier_release_predict_with_a_word(run: RunFolder, capfd) -> None:
    path = run.weights("3d", 0)
    weights = load_file(path)
    save_file(weights, path)
    loaded = load_network(run, example_plan(), "3d", 0, "cpu")
    assert all(torch.equal(value, weights[name]) for name, value in loaded.state_dict().items())
    assert f"{path}: written by an earlier release without a checksum" in " ".join(capfd.readouterr().err.split())


def test_the_stated_checksum_tells_one_training_from_another(run: RunFolder, tmp_path: Path) -> None:
    path, again = run.weights("3d", 0), tmp_path / "again.safetensors"
    weights = load_file(path)
    save_weights(again, weights)
    assert stated_checksum(path) is not None and stated_checksum(again) == stated_checksum(path)
    save_weights(again, {name: value + 1 for name, value in weights.items()})
    assert stated_checksum(again) not in (None, stated_checksum(path))
    save_file(weights, again)
    assert stated_checksum(again) is None
    again.write_text("no weights")
    assert stated_checksum(again) is None and stated_checksum(tmp_path / "absent") is None
