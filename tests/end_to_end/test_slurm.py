"""A run through Slurm itself, on several nodes on this machine: one goes down, a job is killed, all are cancelled."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import autoseg
from autoseg.commands import cli
from autoseg.image.geometry import Geometry
from autoseg.image.image import Image, write_image
from autoseg.plan.plan import read_plan
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.predictions_folder import PredictionsFolder, WorkFolder
from autoseg.work.engines.slurm_commands import QueuedJob, queued
from autoseg.work.prediction_request import read_prediction_request
from autoseg.work.state import CANCELLED, state_of
from autoseg.work.tries import read_tries
from autoseg.work.units import units_of
from tests.autoseg.small_dataset import make_dataset
from tests.example_record import STRAIGHT
from tests.tiny_models import SPACING, make_models
from tests.words import on_one_line

SCRIPTS = Path(__file__).parents[1] / "engines"
FOLDS = 5
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch")
WITH_ADMINISTRATORS_PROGRAMS = f"{os.environ['PATH']}:/usr/sbin:/sbin"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder of a cluster of three nodes, each with one CPU."""
    if missing := [name for name in PROGRAMS if shutil.which(name, path=WITH_ADMINISTRATORS_PROGRAMS) is None]:
        pytest.skip(f"{', '.join(missing)} not installed (.ci/install-slurm)")
    # short, since sockets lie in it
    with tempfile.TemporaryDirectory(prefix="slurm", dir="/tmp", ignore_cleanup_errors=True) as folder:
        started = subprocess.run(
            [SCRIPTS / "start_slurm.sh", folder, "3"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        monkeypatch.setenv("SLURM_CONF", f"{folder}/slurm.conf")
        try:
            if started.returncode:
                pytest.skip(f"Slurm does not start here: {started.stderr.strip()}")
            yield Path(folder)
        finally:
            subprocess.run([SCRIPTS / "stop_slurm.sh", folder], check=True)


def wait_until(is_so: Callable[[], object], what: str, run: WorkFolder, cluster: Path, seconds: float = 400) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            pytest.fail(f"waited in vain until {what}\n{told_by_all(run, cluster)}")
        time.sleep(0.2)


def told_by_all(run: WorkFolder, cluster: Path) -> str:
    """What the queue, the nodes, the jobs and Slurm's own programs say."""
    asked = (["squeue", "--long"], ["sinfo", "--Node", "--long"])
    said = [subprocess.run(command, capture_output=True, encoding="utf-8").stdout for command in asked]
    logs = (*(run.work / "logs").glob("*"), *(cluster / "log").glob("*"))
    last = (log.read_text(encoding="utf-8", errors="replace")[-2000:] for log in logs)
    return "\n".join([*said, *(f"{log}:\n{text}" for log, text in zip(logs, last, strict=True))])


def at_work(run: RunFolder) -> dict[int, QueuedJob]:
    """The folds that train just now, with their jobs."""
    jobs = queued(run)
    found = {fold: jobs.get(f"train-3d-fold_{fold}") for fold in range(FOLDS)}
    return {
        fold: job for fold, job in found.items() if job is not None and job.state == "RUNNING" and is_tried(run, fold)
    }


def is_tried(run: RunFolder, fold: int) -> bool:
    tries = read_tries(run, f"train-3d-fold_{fold}").last
    return bool(tries) and tries[-1].ended is None


@contextmanager
def standing_still(process: int) -> Iterator[None]:
    """Context manager that stops a process again whenever it is let go on, as Slurm does before it asks it to end."""
    ended = threading.Event()

    def stop() -> None:
        while not ended.wait(0.002):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGSTOP)

    stopping = threading.Thread(target=stop)
    stopping.start()
    try:
        yield
    finally:
        ended.set()
        stopping.join()


def weights(run: RunFolder, fold: int) -> dict[str, torch.Tensor]:
    return load_file(run.weights("3d", fold))


def test_a_node_goes_down_and_a_job_is_killed(cluster: Path, tmp_path: Path, capsys) -> None:
    dataset, run, alone = tmp_path / "balls", RunFolder(tmp_path / "run"), RunFolder(tmp_path / "alone")
    make_dataset(dataset, FOLDS)
    command = ["run", str(dataset), "-o", str(run.path), "--engine", "slurm", "--retries", "3", "--no-select"]
    command += ["--time-budget", "40s", "--device", "cpu", "--epochs", "8", "--threads", "1", "--workers", "1"]
    command += ["--slurm-option", "time=20"]
    assert cli.status_of([*command, "--dry-run"]) == 0 and not queued(run)
    assert "#SBATCH --job-name=plan" in capsys.readouterr().out and not run.path.exists()
    assert cli.status_of(command) == 0
    wait_until(
        lambda: [fold for fold in at_work(run) if (run.fold("3d", fold) / "log.csv").exists()],
        "a fold has trained for an epoch",
        run,
        cluster,
    )

    # other options would change what the jobs do
    assert cli.status_of(["9" if word == "8" else word for word in command]) == 2
    assert "--epochs was 8, and is 9" in on_one_line(capsys.readouterr().err)

    # cancelled: one stands still until Slurm kills it, and the others stop by themselves
    stuck = next(iter(at_work(run)))
    with standing_still(read_tries(run, f"train-3d-fold_{stuck}").last[-1].process):
        assert cli.status_of(["cancel", str(run.path)]) == 0
        assert "train-3d-fold_4" in capsys.readouterr().out
        wait_until(lambda: not queued(run), "what was cancelled has left the queue", run, cluster)
    states = {unit.name: state_of(run, unit) for unit in units_of(run) if unit.kind == "train"}
    assert {state.word for state in states.values()} <= {"ready", "done"}
    assert states[f"train-3d-fold_{stuck}"].why == CANCELLED

    # begun again
    assert cli.status_of(command) == 0
    assert "in the queue already" not in capsys.readouterr().out
    wait_until(lambda: len(at_work(run)) > 1, "two folds are at work again", run, cluster)
    found = autoseg.status(run.path)
    told = capsys.readouterr().out
    length = 8 * read_plan(run.plan).configuration("3d").training.iterations_per_epoch
    assert length in {progress.length for progress in found.progress.values()}
    # words, since the lines of a table are broken
    assert not [word for word in ("done", "running", "node", "Dependency") if word not in told], told
    wait_until(lambda: len(at_work(run)) > 1, "two folds are at work still", run, cluster)
    (lost, job), (killed, _), *_ = at_work(run).items()
    subprocess.run(["scontrol", "update", f"nodename={job.node}", "state=down", "reason=test"], check=True)
    os.kill(read_tries(run, f"train-3d-fold_{killed}").last[-1].process, signal.SIGKILL)

    # the other nodes do all that is left
    wait_until(lambda: not queued(run), "all is done", run, cluster)
    assert (run.report / "report.html").exists()
    assert read_tries(run, f"train-3d-fold_{lost}").count >= 3 <= read_tries(run, f"train-3d-fold_{killed}").count
    log = (run.path / "work" / "logs" / f"train-3d-fold_{killed}.log").read_text(encoding="utf-8")
    assert "ended with status 137, and is put back into the queue" in log and "turn 2" in log

    shutil.copytree(run.path, alone.path, ignore=shutil.ignore_patterns("models", "cross_validation", "report", "work"))
    autoseg.train(alone.path, epochs=8, threads=1, device="cpu")
    for fold in range(FOLDS):
        one, other = weights(run, fold), weights(alone, fold)
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one), fold


def test_many_images_are_predicted_in_parts_and_a_job_is_killed(
    cluster: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    run, out, scans = make_models(tmp_path / "run"), PredictionsFolder(tmp_path / "out"), tmp_path / "scans"
    for number in range(12):
        shape = (8, 64, 64)
        voxels = np.random.default_rng(number).normal(100, 20, (1, *shape)).astype(np.float32)
        write_image(scans / f"scan_{number}.nii.gz", Image(voxels, Geometry(shape, SPACING, (0, 0, 0), STRAIGHT)))
    autoseg.predict(run.path, scans, tmp_path / "alone", device="cpu", threads=1)
    monkeypatch.setattr("autoseg.work.request.CASES_A_PART", 4)
    command = ["predict", str(run.path), "-i", str(scans), "-o", str(out.path), "--engine", "slurm", "--threads", "1"]
    command += ["--device", "cpu", "--slurm-option", "time=20", "mem=4G"]
    assert cli.status_of(command) == 0
    assert sorted(queued(out)) == [f"predict-{k}of3" for k in range(3)]

    of_one = [out.path / f"{name}.nii.gz" for name in read_prediction_request(out).names_of(1)]
    wait_until(lambda: any(path.exists() for path in of_one), "a part is in the middle", out, cluster)
    os.kill(read_tries(out, "predict-1of3").last[-1].process, signal.SIGKILL)
    wait_until(lambda: not queued(out), "all is done", out, cluster)
    assert cli.status_of(["status", str(out.path)]) == 0
    assert "3 of 3 units of work are done" in capsys.readouterr().out
    log = (out.work / "logs" / "predict-1of3.log").read_text(encoding="utf-8")
    assert "ended with status 137, and is put back into the queue" in log and "turn 2" in log
    for alone in (tmp_path / "alone").glob("*.nii.gz"):
        assert (out.path / alone.name).read_bytes() == alone.read_bytes()
