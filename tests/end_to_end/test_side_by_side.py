"""Two folds side by side on two CPU processes: the weights of trainings alone, and a failure of one fold."""

import shutil

import pytest
import torch
from safetensors.torch import load_file

import autoseg
from autoseg.commands import cli
from autoseg.machine.cores import available_cores
from autoseg.plan.plan import read_plan
from autoseg.run_folder.lock import locked
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, write_splits
from autoseg.run_folder.time_spent import read_time_spent
from autoseg.run_folder.timed_stage import Stage
from tests.autoseg.small_dataset import make_dataset
from tests.words import on_one_line

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(available_cores() < 2, reason="two processes need two cores"),
]

CASES = tuple(f"ball_{i}" for i in range(4))


def weights(run: RunFolder, fold: int) -> dict[str, torch.Tensor]:
    return load_file(run.weights("3d", fold))


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_weights_are_those_of_a_training_alone(tmp_path, capsys) -> None:
    dataset, run = make_dataset(tmp_path / "balls", 4), RunFolder(tmp_path / "run")
    write_splits(run.splits, (Split(train=CASES[:2], val=CASES[2:]), Split(train=CASES[2:], val=CASES[:2])))
    command = ["run", str(dataset), "-o", str(run.path), "--devices", "cpu", "cpu", "--epochs", "1", "--threads", "1"]
    command += ["--time-budget", "40s", "--workers", "1", "--no-select"]
    autoseg.plan_and_preprocess(dataset, run.path, devices=["cpu"] * 2, time_budget="40s", threads=1, workers=1)

    # somebody else trains fold 1, so that it fails here
    with locked(run.fold("3d", 1), "training fold 1"):
        assert cli.status_of(command) == 1
    told = on_one_line(capsys.readouterr().err)
    assert "1 fold failed; the others are finished, and the same command tries it again" in told
    assert "3d, fold 1:" in told and "another process is training fold 1 here" in told
    assert run.is_finished("3d", 0) and not run.is_finished("3d", 1) and not run.report.exists()
    assert str(run.training_log("3d", 1)) in told.replace(" ", "")

    # both anew, at the same time
    shutil.rmtree(run.path / "models")
    assert cli.status_of(command) == 0
    told = on_one_line(capsys.readouterr().out)
    assert "Side by side: 2 folds on cpu, cpu" in told and "3d, fold 0: finished" in told
    assert read_plan(run.plan).devices == 2 and (run.report / "report.html").exists()
    spent = read_time_spent(run)
    assert all(spent.share_counted(Stage("train", "3d", fold)) < 0.95 for fold in (0, 1)), "side by side"

    alone = RunFolder(tmp_path / "alone")
    shutil.copytree(run.path, alone.path, ignore=shutil.ignore_patterns("models", "cross_validation", "report"))
    for fold in (0, 1):
        autoseg.train(alone.path, fold=fold, epochs=1, threads=1, device="cpu")
        assert same(weights(run, fold), weights(alone, fold))
    assert not same(weights(run, 0), weights(run, 1))
