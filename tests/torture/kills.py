"""Commands are killed at random moments and at renames; the same command then goes on to the same bits.

One attempt is one kill. Up to three kills hit a command before it is left to end; what is then found is told with the
last of them.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.splits import write_splits
from tests.torture.commands import Forked, Started, said
from tests.torture.finished_run import (
    AFTER_TRAINING,
    FIXED,
    OF_PLANNING,
    SPLITS,
    Made,
    contents,
    differences,
    make_finished_run,
)
from tests.torture.killed_at_rename import arm
from tests.torture.outcome import Outcome

SECONDS_TO_END = 600.0
"""Processes whose parent was killed, and a command that was asked to stop, have this long to end."""

LONGEST = 1200.0
"""A command that takes longer hangs."""

SIGNALS = (
    ("SIGKILL of the main process", signal.SIGKILL, False),
    ("SIGKILL of all processes", signal.SIGKILL, True),
    ("SIGTERM of the main process", signal.SIGTERM, False),
    ("SIGTERM of all processes", signal.SIGTERM, True),
    ("SIGHUP of all processes", signal.SIGHUP, True),
    ("SIGINT of all processes", signal.SIGINT, True),
)


@dataclass
class Task:
    """A command that is killed, the state that it begins with, and what an undisturbed one leaves.

    Args:
        name: what the command does.
        begin: makes the state that it begins with in an empty folder.
        arguments: arguments of the command line, given this folder and a source of random choices.
        weight: how often it is drawn beside the others.
        seconds: duration of the undisturbed command; 0 before it is known.
        renames: number of its renames.
        leaves: what the folder holds afterwards.
        libraries: names of temporary files that libraries leave even so.
    """

    name: str
    begin: Callable[[Path], object]
    arguments: Callable[[Path, random.Random], list[str]]
    weight: int
    seconds: float = 0.0
    renames: int = 0
    leaves: dict[str, str] | None = None
    libraries: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Work:
    """Where a command is killed.

    Args:
        folder: folder that it works in.
        temporary: folder for temporary files.
    """

    folder: Path
    temporary: Path

    @property
    def log(self) -> Path:
        """File of what it prints."""
        return self.folder.with_name("log.txt")


def attempts(folder: Path, seed: int) -> Iterator[Outcome]:
    """Kills of planning, preprocessing, training, selection and prediction, without end."""
    rng = random.Random(seed)
    made = make_finished_run(folder)
    tasks = _tasks(made)
    # a socket fits into a short path alone
    with tempfile.TemporaryDirectory(prefix="t") as temporary:
        work = Work(folder / "killed", Path(temporary))
        while True:
            [task] = rng.choices(tasks, [task.weight for task in tasks])
            if task.leaves is None:
                _learn(task, work, rng)
            yield from _killed(task, work, rng)


def _tasks(made: Made) -> list[Task]:
    def without(*names: str) -> Callable[[Path], object]:
        return lambda work: made.copied(work / "RUN", names)

    def train(work: Path, rng: random.Random) -> list[str]:
        workers = rng.randrange(3)
        others = ["--workers", str(workers)] if workers else []
        fixed = ["--epochs", "3", "--threads", "1"]
        return ["train", str(work / "RUN"), "--config", "3d", "--fold", "0", *fixed, *others]

    def plan_and_preprocess(work: Path, rng: random.Random) -> list[str]:
        return ["plan-and-preprocess", str(made.data), "-o", str(work / "RUN"), "--config", "2d", "3d"]

    def run(work: Path, rng: random.Random) -> list[str]:
        return ["run", str(made.data), "-o", str(work / "RUN"), *OF_PLANNING, *FIXED]

    def select(work: Path, rng: random.Random) -> list[str]:
        return ["select", str(work / "RUN"), "--threads", "1"]

    def predict(work: Path, rng: random.Random) -> list[str]:
        options = ["--threads", "1", "--save-probabilities"]
        return ["predict", str(work / "RUN"), "-i", str(made.new), "-o", str(work / "out"), *options]

    return [
        Task("run", lambda work: _only_splits(work / "RUN"), run, 2),
        Task("plan-and-preprocess", without("preprocessed", *AFTER_TRAINING), plan_and_preprocess, 2),
        Task("train", without(*AFTER_TRAINING), train, 8),
        Task("select", without("selected.json"), select, 2),
        Task("predict", without(), predict, 2),
    ]


def _only_splits(run: Path) -> None:
    run.mkdir()
    write_splits(RunFolder(run).splits, SPLITS)


def _learn(task: Task, work: Work, rng: random.Random) -> None:
    """Carry the task out undisturbed, for its duration, its renames and its results."""
    _begin(task, work)
    started = time.monotonic()
    counted = work.folder.with_name("renames.txt")
    status = _start(task.arguments(work.folder, rng), work, "count", str(counted)).wait(LONGEST)
    if status != 0:
        raise RuntimeError(f"{task.name} ended with status {status}: {said(work.log)}")
    task.seconds, task.renames = time.monotonic() - started, int(counted.read_text())
    task.leaves, task.libraries = contents(work.folder), frozenset(path.name for path in work.temporary.iterdir())


def _begin(task: Task, work: Work) -> None:
    shutil.rmtree(work.folder, ignore_errors=True)
    work.folder.mkdir()
    task.begin(work.folder)
    work.log.unlink(missing_ok=True)
    shutil.rmtree(work.temporary, ignore_errors=True)
    work.temporary.mkdir()


def _killed(task: Task, work: Work, rng: random.Random) -> Iterator[Outcome]:
    """Kill a command some times, and let it end; one outcome a kill."""
    _begin(task, work)
    arguments = task.arguments(work.folder, rng)
    count = rng.randint(1, 3)
    kills: list[str] = []
    seen: set[int] = set()
    for _ in range(count):
        told, problem = _kill_once(task, arguments, work, rng, seen)
        kills.append(told)
        what = f"autoseg {' '.join(arguments)}; {'; '.join(kills)}"
        if problem:
            yield Outcome(what, "fault", problem)
            return
        if len(kills) < count:
            yield Outcome(what, "right", "goes on")
    yield _ended(task, arguments, work, what, seen)


def _kill_once(
    task: Task, arguments: list[str], work: Work, rng: random.Random, seen: set[int]
) -> tuple[str, str | None]:
    """Start the command and kill it; return in words how, and what was wrong with its end."""
    if rng.random() < 0.4:
        when, number = rng.choice(("before", "after")), rng.randint(1, task.renames)
        process = _start(arguments, work, when, str(number))
        told, asked = f"SIGKILL {when} rename {number} of {task.renames}", signal.SIGKILL
        process.wait(LONGEST)
    else:
        name, asked, everyone = rng.choice(SIGNALS)
        after = rng.uniform(0, task.seconds)
        process = _start(arguments, work)
        has_ended = process.wait(after) is not None
        told = f"{name} after {after:.2f} of {task.seconds:.2f} s"
        seen |= {p.pid for p in _of_session(process.pid)}
        # the number of a process that has ended may be another one's by now
        if not has_ended:
            with suppress(ProcessLookupError):
                (os.killpg if everyone else os.kill)(process.pid, asked)
    seen.add(process.pid)
    return told, _wrong_end(process, asked, work)


def _wrong_end(process: Forked | Started, asked: signal.Signals, work: Work) -> str | None:
    """What was wrong when a command that was killed ended; None where nothing was."""
    if left := _still_of_session(process):
        named = ", ".join(f"{p.pid} {' '.join(p.cmdline())[-80:]}" for p in left)
        for one in left:
            one.kill()
        return f"{SECONDS_TO_END:g} s later there is still {named}: {said(work.log)}"
    status = process.wait(SECONDS_TO_END)
    # a signal may come before Python has set its handlers, or after the command has ended
    allowed = {0, -asked, 128 + asked}
    if status not in allowed:
        return f"ended with status {status}: {said(work.log)}"
    if asked != signal.SIGKILL and "Traceback" in said(work.log) and status != -asked:
        return f"a traceback: {said(work.log)}"
    return None


def _ended(task: Task, arguments: list[str], work: Work, what: str, seen: set[int]) -> Outcome:
    """Let the command end, and compare what it leaves with an undisturbed one."""
    process = _start(arguments, work)
    seen.add(process.pid)
    status = process.wait(LONGEST)
    if status is None:
        os.killpg(process.pid, signal.SIGKILL)
    if status != 0:
        return Outcome(what, "fault", f"going on ended with status {status}: {said(work.log)}")
    assert task.leaves is not None
    found = differences(task.leaves, contents(work.folder))
    # torch makes a cache of its compiler where the state of an optimiser is read
    left = {path.name for path in work.temporary.iterdir() if not path.name.startswith("torchinductor_")}
    found += [f"{work.temporary / name} is left behind" for name in sorted(left - task.libraries)]
    found += [f"{path} is left behind" for path in _in_shared_memory(seen)]
    found += [f"process {p.pid} is left behind" for p in _still_of_session(process)]
    return Outcome(what, "fault" if found else "right", "; ".join(found) or "the same bits")


def _start(arguments: list[str], work: Work, *rename: str) -> Forked | Started:
    """Start a command whose temporary files go to a folder of their own; `rename` are arguments of `arm`."""
    if "--workers" in arguments:
        # a forked process would share what cleans up behind processes with this one
        module = ["tests.torture.killed_at_rename", *rename] if rename else ["autoseg"]
        return Started([*module, *arguments], work.log, work.temporary)
    return Forked(arguments, work.log, partial(_prepare, work.temporary, rename))


def _prepare(temporary: Path, rename: Sequence[str]) -> None:
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    if rename:
        arm(*rename)


def _still_of_session(process: Forked | Started) -> list[psutil.Process]:
    """Processes of a command's session that have not ended after the time that they have for it."""
    deadline = time.monotonic() + SECONDS_TO_END
    while (left := _of_session(process.pid)) and time.monotonic() < deadline:
        process.wait(0.0)
        time.sleep(0.05)
    return left


def _of_session(session: int) -> list[psutil.Process]:
    """Processes of a session that have not ended."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _in_shared_memory(processes: set[int]) -> list[Path]:
    """Files in shared memory that are named after one of these processes."""
    folder = Path("/dev/shm")
    files = folder.iterdir() if folder.is_dir() else ()
    return [
        file for file in files if any(part.isdigit() and int(part) in processes for part in re.split("[_.]", file.name))
    ]
