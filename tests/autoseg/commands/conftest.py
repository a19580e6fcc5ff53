import shutil

import pytest

import autoseg
from autoseg.run_folder.paths import RunFolder
from tests.autoseg.commands.stand_ins import install
from tests.autoseg.small_dataset import make_dataset


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("data") / "balls")


@pytest.fixture
def calls(monkeypatch):
    return install(monkeypatch)


@pytest.fixture(scope="module")
def planned_once(dataset, tmp_path_factory):
    """A planned and preprocessed run, made once."""
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        path = tmp_path_factory.mktemp("planned") / "run"
        autoseg.plan_and_preprocess(dataset, path, device="cpu", workers=1)
    return path


@pytest.fixture
def run(planned_once, tmp_path):
    """A copy of it that the test may change."""
    shutil.copytree(planned_once, tmp_path / "run")
    return RunFolder(tmp_path / "run")
