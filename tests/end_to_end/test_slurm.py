"""A run through Slurm itself, on several nodes on this machine: one goes down, a job is killed, all are cancelled."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import autoseg
from autoseg.commands import cli
from autoseg.run_folder.paths import RunFolder
from autoseg.work.engines.slurm_commands import QueuedJob, queued
from autoseg.work.tries import read_tries
from tests.autoseg.small_dataset import make_dataset
from tests.words import on_one_line

SCRIPTS = Path(__file__).parents[1] / "engines"
FOLDS = 5
OPTIONS = {"time_budget": "40s", "device": "cpu", "epochs": 4, "threads": 1, "workers": 1, "no_select": True}
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch")
WITH_ADMINISTRATORS_PROGRAMS = f"{os.environ['PATH']}:/usr/sbin:/sbin"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three nodes, each with one CPU."""
    if missing := [name for name in PROGRAMS if shutil.which(name, path=WITH_ADMINISTRATORS_PROGRAMS) is None]:
        pytest.skip(f"{', '.join(missing)} not installed (.ci/install-slurm)")
    folder = tmp_path / "cluster"
    started = subprocess.run(
        [SCRIPTS / "start_slurm.sh", folder, "3"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8"
    )
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    try:
        if started.returncode:
            pytest.skip(f"Slurm does not start here: {started.stderr.strip()}")
        yield
    finally:
        subprocess.run([SCRIPTS / "stop_slurm.sh", folder], check=True)


def wait_until(is_so: Callable[[], object], what: str, seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, f"waited in vain until {what}"
        time.sleep(0.2)


def training(run: RunFolder) -> dict[int, QueuedJob]:
    """The folds that train just now, and have trained for an epoch at some time, with their jobs."""
    jobs = queued(run)
    found = {fold: jobs.get(f"train-3d-fold_{fold}") for fold in range(FOLDS)}
    return {
        fold: job
        for fold, job in found.items()
        if job is not None
        and job.state == "RUNNING"
        and is_at_work(run, fold)
        and (run.fold("3d", fold) / "log.csv").exists()
    }


def is_at_work(run: RunFolder, fold: int) -> bool:
    tries = read_tries(run, f"train-3d-fold_{fold}").last
    return bool(tries) and tries[-1].ended is None


def weights(run: RunFolder, fold: int) -> dict[str, torch.Tensor]:
    return load_file(run.weights("3d", fold))


def test_a_node_goes_down_and_a_job_is_killed(cluster, tmp_path: Path, capsys) -> None:
    dataset, run, alone = make_dataset(tmp_path / "balls", FOLDS), RunFolder(tmp_path / "run"), tmp_path / "alone"
    command = ["run", str(dataset), "-o", str(run.path), "--engine", "slurm", "--retries", "3", "--no-select"]
    command += ["--time-budget", "40s", "--device", "cpu", "--epochs", "4", "--threads", "1", "--workers", "1"]
    command += ["--slurm-option", "time=20"]
    assert cli.status_of([*command, "--dry-run"]) == 0 and not queued(run)
    assert "#SBATCH --job-name=plan" in capsys.readouterr().out
    assert cli.status_of(command) == 0
    wait_until(lambda: len(training(run)) > 1, "two folds are trained")

    # cancelled, and begun again
    assert cli.status_of(["cancel", str(run.path)]) == 0
    assert "train-3d-fold_4" in capsys.readouterr().out
    # waits until those that are stopping have left the queue
    assert cli.status_of(command) == 0
    assert "in the queue already" not in capsys.readouterr().out
    wait_until(lambda: len(training(run)) > 1, "two folds are trained again")
    assert cli.status_of(["status", str(run.path)]) == 0
    told = on_one_line(capsys.readouterr().out)

    (lost, job), (killed, _), *_ = training(run).items()
    subprocess.run(["scontrol", "update", f"nodename={job.node}", "state=down", "reason=test"], check=True)
    os.kill(read_tries(run, f"train-3d-fold_{killed}").last[-1].process, signal.SIGKILL)
    assert "running" in told and f"on {job.node}" in told and "(Dependency)" in told

    # the other nodes do all that is left
    wait_until(lambda: not queued(run), "all is done")
    assert (run.report / "report.html").exists()
    assert read_tries(run, f"train-3d-fold_{lost}").count >= 3 <= read_tries(run, f"train-3d-fold_{killed}").count
    log = (run.path / "work" / "logs" / f"train-3d-fold_{killed}.log").read_text(encoding="utf-8")
    assert "ended with status 137, and is put back into the queue" in log and "turn 2" in log

    autoseg.run(dataset, alone, **OPTIONS)
    for fold in range(FOLDS):
        one, other = weights(run, fold), weights(RunFolder(alone), fold)
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one), fold
