"""A run on three nodes of Ray on this machine: a stop, a node that dies while it trains, the bits of a run alone.

Ray is in an environment of its own, which `.ci/install-ray` makes.
"""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
import torch
from safetensors.torch import load_file

import autoseg
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import Split, write_splits
from autoseg.work.state import units_left
from autoseg.work.tries import read_tries
from tests.autoseg.small_dataset import make_dataset
from tests.words import on_one_line

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-ray" / "bin" / "python"
EPOCHS = 12
Found = TypeVar("Found")
TRIES_TO_START = 3
"""Ray gives a node half a minute to start, which a busy machine may need more than once."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not PYTHON.exists(), reason="Ray is not at hand: .ci/install-ray installs it"),
]


def environment(**ray: str) -> dict[str, str]:
    """The environment of processes that use Ray; of Ray's own variables it has those that are given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return inherited | {"PYTHONPATH": str(ROOT)} | ray


@contextmanager
def ray_cluster(mode: str, nodes: int, **ray: str) -> Iterator[str]:
    """A cluster on this machine while the block runs; yields its address."""
    for _ in range(TRIES_TO_START):
        with subprocess.Popen(
            [PYTHON, "-m", "tests.ray_cluster", mode, str(nodes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(**ray),
            cwd=ROOT,
            encoding="utf-8",
        ) as process:
            address = process.stdout.readline().strip()
            if address:
                try:
                    yield address
                finally:
                    process.stdin.close()
                return
    pytest.skip("Ray could not start its nodes on this machine, which may be too busy")


@pytest.fixture(scope="module")
def token() -> str:
    return secrets.token_hex(16)


@pytest.fixture(scope="module")
def address(token) -> Iterator[str]:
    with ray_cluster("token", 3, RAY_AUTH_TOKEN=token) as found:
        yield found


class Command:
    """`autoseg run` on a cluster, in a process and a process group of its own, as in a terminal.

    Args:
        dataset: data set.
        run: RUN folder.
        engine: value of `--engine`.
        more: further options.
        ray: Ray's environment variables.
    """

    def __init__(self, dataset: Path, run: RunFolder, engine: str, *more: str, **ray: str) -> None:
        command = [PYTHON, "-m", "autoseg", "run", dataset, "-o", run.path, "--engine", engine, "--no-select"]
        command += ["--epochs", str(EPOCHS), "--threads", "1", "--workers", "1", "--time-budget", "10s", *more]
        self.told = run.path.with_name(f"told-{time.monotonic_ns()}.txt")
        with self.told.open("w") as file:
            self.process = subprocess.Popen(
                command, stdout=file, stderr=file, env=environment(**ray), cwd=ROOT, start_new_session=True
            )

    def __enter__(self) -> "Command":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()

    def wait(self) -> tuple[int, str]:
        """Exit status, and all that it printed, on one line."""
        status = self.process.wait(1800)
        return status, on_one_line(self.told.read_text(encoding="utf-8"))

    def until(self, look: Callable[[], Found | None]) -> Found:
        """Wait until something is found; of a command that has ended nothing more comes."""
        while (found := look()) is None:
            assert self.process.poll() is None, self.told.read_text(encoding="utf-8")
            time.sleep(0.1)
        return found

    def until_told(self, words: str) -> None:
        """Wait until it has printed something."""
        self.until(lambda: words in on_one_line(self.told.read_text(encoding="utf-8")) or None)


def trainings() -> list[psutil.Process]:
    """Processes on any node that train a fold."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "autoseg.work.engines.leash" in words and any(word.startswith("train-") for word in words):
            found.append(process)
    return found


def raylet_of(process: psutil.Process) -> psutil.Process:
    """The process that is the node on which a process runs."""
    return next(parent for parent in process.parents() if parent.name() == "raylet")


def fold_of(process: psutil.Process) -> int:
    return int(next(word for word in process.cmdline() if word.startswith("train-"))[-1])


def is_head(raylet: psutil.Process) -> bool:
    return "node:__internal_head__" in " ".join(raylet.cmdline())


def kill_node(raylet: psutil.Process) -> None:
    """As if its machine were switched off: all its processes at once, none of which can say a word."""
    for process in [raylet, *raylet.children(recursive=True)]:
        process.kill()


def epochs_done(run: RunFolder, fold: int) -> int:
    log = run.fold("3d", fold) / "log.csv"
    return max(0, len(log.read_text(encoding="utf-8").splitlines()) - 1) if log.exists() else 0


def held_in_the_middle(run: RunFolder, *, away_from_head: bool = False) -> psutil.Process | None:
    """A process that trains and has done some epochs, but not all; it stands still until it is let go on."""
    for process in trainings():
        try:
            if away_from_head and is_head(raylet_of(process)):
                continue
            if is_in_the_middle(run, process):
                process.suspend()
                # it went on until now
                if is_in_the_middle(run, process):
                    return process
                process.resume()
        except (psutil.NoSuchProcess, StopIteration):
            continue
    return None


def is_in_the_middle(run: RunFolder, process: psutil.Process) -> bool:
    return 0 < epochs_done(run, fold_of(process)) < EPOCHS - 1


def same_weights(one: RunFolder, other: RunFolder, fold: int) -> bool:
    a, b = load_file(one.weights("3d", fold)), load_file(other.weights("3d", fold))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_stopped_and_robbed_of_a_node_it_ends_with_the_bits_of_a_run_alone(tmp_path, address, token) -> None:
    dataset, run = make_dataset(tmp_path / "balls", 4), RunFolder(tmp_path / "run")
    cases = tuple(f"ball_{i}" for i in range(4))
    write_splits(run.splits, (Split(train=cases[:2], val=cases[2:]), Split(train=cases[2:], val=cases[:2])))

    # Ctrl-C of a terminal reaches the whole group of processes
    with Command(dataset, run, f"ray={address}", RAY_AUTH_TOKEN=token) as command:
        held = command.until(lambda: held_in_the_middle(run))
        os.killpg(command.process.pid, signal.SIGINT)
        command.until_told("Stopping: every unit saves its state")
        held.resume()
        status, told = command.wait()
    assert status == 130 and "Stopping: every unit saves its state" in told, told
    assert trainings() == []
    assert not (run.is_finished("3d", 0) and run.is_finished("3d", 1))

    # a node is switched off while it trains
    with Command(dataset, run, f"ray={address}", RAY_AUTH_TOKEN=token) as command:
        victim = command.until(lambda: held_in_the_middle(run, away_from_head=True))
        unit = f"train-3d-fold_{fold_of(victim)}"
        kill_node(raylet_of(victim))
        status, told = command.wait()
    assert status == 0, told
    assert f"{unit}: its node was lost; placed anew, try 2 of 3" in told
    assert units_left(run) == () and (run.report / "report.html").exists()
    assert read_tries(run, unit).count >= 2

    alone = RunFolder(tmp_path / "alone")
    others = ("models", "cross_validation", "report", "work")
    shutil.copytree(run.path, alone.path, ignore=shutil.ignore_patterns(*others))
    for fold in (0, 1):
        autoseg.train(alone.path, fold=fold, epochs=EPOCHS, threads=1, device="cpu")
        assert same_weights(run, alone, fold)


def said(program: str, *arguments: str, **ray: str) -> str:
    """What a program prints that uses the engine's cluster."""
    done = subprocess.run(
        [PYTHON, "-c", program, *arguments], env=environment(**ray), cwd=ROOT, capture_output=True, encoding="utf-8"
    )
    return on_one_line(done.stdout + done.stderr)


CONNECT = """
import sys
from autoseg.errors import InputError
from autoseg.work.engines.ray_cluster import cluster
try:
    with cluster(sys.argv[1], insecure="--insecure" in sys.argv):
        import ray
        print("connected to", len(ray.nodes()), "nodes")
except InputError as error:
    print(error)
"""

START = """
import os
from autoseg.errors import InputError
from autoseg.work.engines.ray_cluster import answer, cluster
try:
    with cluster(None):
        import ray
        address = ray.get_runtime_context().gcs_address
        print(answer(address, os.environ))
        print(answer(address, os.environ | {"RAY_AUTH_TOKEN": "wrong"}))
        print(answer(address, {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}))
except InputError as error:
    print(error)
"""


def test_a_cluster_that_demands_a_token_takes_its_own_alone(address, token, tmp_path) -> None:
    file = tmp_path / "token"
    file.write_text(token, encoding="utf-8")
    assert "connected to" in said(CONNECT, address, RAY_AUTH_TOKEN_PATH=str(file))
    assert "does not take this token, or there is none" in said(CONNECT, address, RAY_AUTH_TOKEN="wrong")
    assert "does not take this token, or there is none" in said(CONNECT, address, HOME=str(tmp_path))
    assert "does not take this token, or there is none" in said(CONNECT, address, "--insecure", HOME=str(tmp_path))


def test_an_open_cluster_is_refused_unless_insecure(token) -> None:
    with ray_cluster("disabled", 1) as address:
        for ray in ({}, {"RAY_AUTH_TOKEN": token}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}):
            assert "this cluster demands no token" in said(CONNECT, address, **ray)
        assert "connected to 1 nodes" in said(CONNECT, address, "--insecure")
    assert "no Ray cluster answers there" in said(CONNECT, "127.0.0.1:1")


def test_a_cluster_that_is_started_here_demands_its_own_token() -> None:
    for _ in range(TRIES_TO_START):
        if "could not be started" not in (told := said(START)):
            assert told == "answers refuses refuses"
            return
    pytest.skip("Ray could not start on this machine, which may be too busy")
