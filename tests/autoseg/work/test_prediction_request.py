"""What was asked of `autoseg predict` is written down for other machines, and changes are noticed."""

import os
from pathlib import Path

import pytest
from safetensors.torch import load_file

from autoseg.dataset.case import Case
from autoseg.errors import InputError, RunFolderError
from autoseg.network.weights import save_weights
from autoseg.run_folder.predictions_folder import PredictionsFolder
from autoseg.work.prediction_request import (
    AskedCase,
    PartNeeds,
    PredictionOptions,
    PredictionRequest,
    models_now,
    read_prediction_request,
    write_prediction_request,
)
from tests.tiny_models import make_models

OPTIONS = PredictionOptions("/runs/spine", ("/scans",), config=("2d", "3d"), fold=(0, 1), mirror=False)
CASES = tuple(AskedCase(name=name, images=(f"/scans/{name}.nii.gz",), files=("1 2",)) for name in "abcde")


def request(**changes) -> PredictionRequest:
    fields = {"options": OPTIONS, "models": "m", "cases": CASES, "parts": 2, "needs": PartNeeds(cores=2, gpus=1)}
    return PredictionRequest(**(fields | changes))


def test_it_is_read_as_it_was_written(tmp_path):
    folder = PredictionsFolder(tmp_path)
    asked = request(labels="/labels")
    write_prediction_request(folder, asked)
    assert read_prediction_request(folder) == asked
    assert [asked.names_of(part) for part in range(2)] == [("a", "c", "e"), ("b", "d")]
    text = folder.request.read_text(encoding="utf-8")
    folder.request.write_text(text.replace('"preview"', '"nonsense"'), encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"predictions\.json: options\.nonsense"):
        read_prediction_request(folder)
    folder.request.unlink()
    with pytest.raises(RunFolderError, match="with --engine makes it"):
        read_prediction_request(folder)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"parts": 5, "cases": CASES[:1]}, True),
        (
            {"options": PredictionOptions("/runs/spine", ("/more",), ("2d", "3d"), (0, 1), mirror=False, threads=3)},
            True,
        ),
        ({"options": PredictionOptions("/runs/spine", ("/scans",), ("2d", "3d"), (0, 1), mirror=True)}, False),
        ({"models": "n"}, False),
    ],
)
def test_what_decides_a_prediction_is_in_the_digest(changes, same):
    assert (request().made_from == request(**changes).made_from) is same


def test_a_case_comes_back_and_a_changed_image_is_noticed(tmp_path):
    image = tmp_path / "a.nii.gz"
    image.write_bytes(b"1")
    case = Case("a", (image, None), several_channels_in_one_file=True, drawn_on="T1", problems=("odd",), colours=True)
    asked = AskedCase.of(case)
    assert asked.as_case() == case
    os.utime(image, (0, 0))
    assert AskedCase.of(case) != asked
    # what is not there is told by the part that has it
    assert AskedCase.of(Case("b", (tmp_path / "none",))).files == ("",)
    with pytest.raises(InputError, match=r"\?: its name or its path is not in UTF-8"):
        AskedCase.of(Case("\udcff", (Path("/a"),)))


def test_other_models_have_another_digest(tmp_path, monkeypatch):
    run = make_models(tmp_path / "run")
    members = (("3d", 0), ("3d", 1))
    found = {models_now(run, members), models_now(run, members[:1])}
    run.selected.write_text("{}", encoding="utf-8")
    found.add(models_now(run, members))
    save_weights(run.weights("3d", 1), load_file(run.weights("3d", 0)))
    found.add(models_now(run, members))
    found.add(models_now(run, members, "what the table of codes says"))
    assert len(found) == 5
    monkeypatch.setattr("autoseg.work.prediction_request.VERSION", "0")
    assert models_now(run, members) not in found
