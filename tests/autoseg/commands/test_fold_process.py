"""A process that trains beside others: real training of a tiny run."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from autoseg.commands.devices import Place
from autoseg.commands.fold_process import Ended, FoldTask, train_in_process
from autoseg.commands.fold_time import FoldTime
from autoseg.errors import AutosegError
from autoseg.machine.cores import usable_cores
from autoseg.machine.processes import WORKERS, start
from autoseg.run_folder.splits import Split, write_splits
from autoseg.terminal import FoldProgress
from tests.trainer.interrupted import same, weights
from tests.trainer.tiny_run import make_run, make_training
from trainer.fold import train_fold

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CORE = usable_cores()[0]


def task_of(run, **changes) -> FoldTask:
    given = {"run": run.path, "configuration": "3d", "fold": 0, "place": Place("cpu", (CORE,)), "beside": 2}
    return FoldTask(**given | {"threads": 1, "epochs": None, "time": FoldTime(None, 0.0)} | changes)


def begin(task):
    """Start the process; return this end of its connection, and the process."""
    ours, theirs = WORKERS.Pipe()
    process = WORKERS.Process(target=train_in_process, args=(theirs, task))
    start(process)
    theirs.close()
    return ours, process


def messages_until(connection, enough):
    told = []
    while not told or not enough(told[-1]):
        assert connection.poll(200)
        told.append(connection.recv())
    return told


def is_end(message) -> bool:
    return isinstance(message, Ended)


def test_it_trains_tells_and_prints_into_its_log(tmp_path) -> None:
    run = make_run(tmp_path / "run", make_training())
    connection, process = begin(task_of(run))
    told = messages_until(connection, is_end)
    process.join()
    assert told[-1] == Ended("finished") and run.is_finished("3d", 0)
    shown = [message for message in told if isinstance(message, FoldProgress)]
    assert (shown[0].step, shown[-1].step, shown[-1].length, shown[-1].left) == (0, 12, 12, "validation")
    log = run.training_log("3d", 0).read_text(encoding="utf-8")
    assert "3d, fold 0 on cpu" in log and "Validation" in log
    assert not run.time_spent.exists(), "its parent counts the time"


LONG = make_training(iterations=240, iterations_per_epoch=20, validate_every=0)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A run whose fold was trained alone and without a stop."""
    run = make_run(tmp_path_factory.mktemp("alone") / "run", LONG)
    train_fold(run, "3d", 0, device="cpu", threads=1)
    return run


@pytest.mark.parametrize("how", ["asked", "parent died", "scheduler"])
def test_a_stop_saves_the_state_and_the_fold_goes_on_to_the_same_bits(tmp_path, alone, how) -> None:
    beside = make_run(tmp_path / "run", LONG)
    connection, process = begin(task_of(beside))
    messages_until(connection, lambda message: isinstance(message, FoldProgress) and message.step > 0)
    # Ctrl-C of the terminal reaches the process as well, and a scheduler's SIGTERM comes before the parent asks
    os.kill(process.pid, signal.SIGINT)
    if how == "parent died":
        connection.close()
        process.join()
    else:
        if how == "scheduler":
            os.kill(process.pid, signal.SIGTERM)
        connection.send("stop")
        ended = messages_until(connection, is_end)[-1]
        process.join()
        assert ended.how == "stopped" and "saved in" in ended.text
    assert weights(beside).keys() == weights(alone).keys() and not same(weights(beside), weights(alone))
    assert any((beside.fold("3d", 0) / "checkpoint").iterdir()) and not beside.is_finished("3d", 0)

    if how == "asked":
        connection, process = begin(task_of(beside))
        assert messages_until(connection, is_end)[-1] == Ended("finished")
        process.join()
        assert "going on at step" in beside.training_log("3d", 0).read_text(encoding="utf-8")
    else:
        # another process would load its libraries again for the same steps
        train_fold(beside, "3d", 0, device="cpu", threads=1)
    assert same(weights(beside), weights(alone))


def test_a_failure_is_told_and_its_traceback_is_in_the_log(tmp_path) -> None:
    run = make_run(tmp_path / "run", make_training())
    write_splits(run.splits, (Split(train=("ball_0", "missing"), val=("ball_4",)),))
    connection, process = begin(task_of(run))
    ended = messages_until(connection, is_end)[-1]
    process.join()
    assert ended.how == "failed" and "missing: does not exist" in ended.text and not ended.is_defect
    assert isinstance(ended.error, AutosegError)
    assert "Traceback" in run.training_log("3d", 0).read_text(encoding="utf-8")


@pytest.mark.skipif(not hasattr(psutil.Process, "cpu_affinity"), reason="macOS does not bind processes to cores")
def test_torch_computes_with_the_cores_that_it_was_given() -> None:
    code = (
        "import sys; from autoseg.machine.cores import take_cores, usable_cores; import autoseg.commands.fold_process\n"
        "assert 'torch' not in sys.modules, 'torch counts the cores when it is loaded'\n"
        f"assert take_cores([{CORE}]); import torch; print(torch.get_num_threads(), usable_cores())"
    )
    environment = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert done.stdout.split("\n")[0] == f"1 [{CORE}]", done.stderr


def test_an_answer_of_the_system_stays_one() -> None:
    full = Ended("failed", "full", system=(28, "No space left on device", "RUN/plan.yaml")).error
    assert isinstance(full, OSError) and (full.errno, full.filename) == (28, "RUN/plan.yaml")
    assert isinstance(Ended("failed", "x", is_defect=True).error, RuntimeError)


STOPPED_IN_C = """
import multiprocessing, pathlib, signal, sys
from autoseg.commands import fold_process
from autoseg.commands.devices import Place
from autoseg.commands.fold_time import FoldTime
from tests.stopped_in_c import translate

ours, theirs = multiprocessing.Pipe()
fold_process._train = lambda *_: translate(int(sys.argv[1]))
place = Place("cpu", (int(sys.argv[3]),))
task = fold_process.FoldTask(pathlib.Path(sys.argv[2]), "3d", 0, place, 2, 1, None, FoldTime(None, 0.0))
fold_process.train_in_process(theirs, task)
pathlib.Path(sys.argv[2], "ended").write_text(ours.recv().how)
"""


@pytest.mark.parametrize(("number", "how"), [(signal.SIGTERM, "stopped"), (0, "failed")])
def test_an_error_that_a_library_makes_of_a_stop_is_the_stop(tmp_path, number, how) -> None:
    command = [sys.executable, "-c", STOPPED_IN_C, str(int(number)), str(tmp_path), str(CORE)]
    subprocess.run(command, check=True, timeout=300)
    assert (tmp_path / "ended").read_text() == how
