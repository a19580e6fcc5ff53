"""Two processes that share every batch learn what one process learns, to rounding; the CPU stands for two cards."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from autoseg.errors import InputError
from autoseg.plan.plan import read_plan, write_plan
from autoseg.run_folder.finished_fold import read_finished
from autoseg.run_folder.paths import RunFolder
from tests.trainer.tiny_run import make_run, make_training, store_partly
from tests.trainer.together import LEFT
from trainer.ranks import ALONE, Ranks

ROOT = Path(__file__).parents[2]
STEPS_AN_EPOCH, EPOCHS = 1, 20
KINDS = (
    ("plain", False, "workers"),
    ("plain", True, "device"),
    ("resenc_m", False, "device"),
    ("resenc_m", True, "workers"),
)


def started(runs: list[RunFolder], processes: int, epochs: int = EPOCHS) -> subprocess.CompletedProcess:
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", "0"]
    launcher += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    command = [sys.executable, *(launcher if processes > 1 else []), "-m", "tests.trainer.together", epochs]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*map(str, command), *(str(run.path) for run in runs)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        env=environment,
        timeout=600,
    )


def residual(run: RunFolder) -> None:
    plan = read_plan(run.plan)
    configuration = plan.configuration("3d")
    network = configuration.network.changed(architecture="resenc_m")
    write_plan(run.plan, plan.changed(configurations={"3d": configuration.changed(network=network)}), {})


def run_of(folder: Path, architecture: str, batch_dice: bool, augment_on: str) -> RunFolder:
    training = make_training(
        batch_dice=batch_dice,
        lesion_loss=0.3,
        iterations=EPOCHS,
        iterations_per_epoch=STEPS_AN_EPOCH,
        validate_every=0,
        augment_on=augment_on,
    )
    run = make_run(folder / f"{architecture}_{batch_dice}", training)
    if architecture == "resenc_m":
        residual(run)
    return run


@pytest.fixture(scope="module")
def trained_alone(tmp_path_factory) -> dict[tuple[str, bool, str], RunFolder]:
    """The runs that one process trained, by kind; the same process trains all of them."""
    folder = tmp_path_factory.mktemp("alone")
    runs = {kind: run_of(folder, *kind) for kind in KINDS}
    ended = started(list(runs.values()), 1)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return runs


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_learn_what_one_learns(tmp_path, trained_alone, kind: tuple[str, bool, str]) -> None:
    runs = trained_alone[kind], run_of(tmp_path, *kind)
    ended = started([runs[1]], 2)
    assert ended.returncode == 0, ended.stderr[-3000:]
    # a thread that goes on while Python ends aborts the process now and then
    assert LEFT not in ended.stderr
    alone, together = (pd.read_csv(run.fold("3d", 0) / "log.csv") for run in runs)
    assert len(alone) == len(together) == EPOCHS
    # rounding grows with the steps that follow from it
    assert together["loss"].tolist() == pytest.approx(alone["loss"].tolist(), abs=2e-4)
    assert together["train_dice"].tolist() == pytest.approx(alone["train_dice"].tolist(), abs=2e-2)
    weights, others = (load_file(run.weights("3d", 0)) for run in runs)
    for name, weight in weights.items():
        # a bias before an instance norm has no gradient but rounding, which AdamW makes as large as any
        if name.endswith(".conv.bias"):
            continue
        assert (weight - others[name]).abs().max().item() < 5e-3, name
    finished = [read_finished(run, "3d", 0) for run in runs]
    assert finished[0] is not None and finished[1] is not None
    assert finished[1].dice.keys() == finished[0].dice.keys()


@pytest.mark.slow
def test_they_do_so_where_a_class_was_not_looked_for_in_some_cases(tmp_path) -> None:
    training = make_training(lesion_loss=0.3, iterations=4, iterations_per_epoch=1, validate_every=0)
    losses = []
    for processes in (1, 2):
        run = make_run(tmp_path / str(processes), training)
        for name in ("ball_0", "ball_1", "ball_2"):
            store_partly(run, name)
        ended = started([run], processes, epochs=4)
        assert ended.returncode == 0, ended.stderr[-3000:]
        losses.append(pd.read_csv(run.fold("3d", 0) / "log.csv")["loss"].tolist())
        # the case that is validated has the class
        assert read_finished(run, "3d", 0).dice["ball_4"] != [None]
    assert len(losses[0]) == 4 and np.isfinite(losses).all()
    assert losses[1] == pytest.approx(losses[0], abs=2e-4)


@pytest.mark.slow
def test_a_batch_that_three_cannot_share_is_refused(tmp_path) -> None:
    run = make_run(tmp_path, make_training())
    ended = started([run], 3, epochs=1)
    assert ended.returncode != 0
    assert "3 processes cannot share a batch of 2 patches evenly; start 1 or 2" in ended.stderr


def test_places_are_shared_out_once_each() -> None:
    assert [list(Ranks(rank, 2).places(6)) for rank in range(2)] == [[0, 2, 4], [1, 3, 5]]
    assert list(ALONE.places(5)) == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match="start 1 or 5"):
        Ranks(0, 2).places(5)
