"""Kills and stops processes that share a folder, at random: is anything published twice, half, or lost?

    python -m benchmarks.kills --rounds 200

Two sets of processes claim cases of one folder by the locks of a RUN folder and publish each as a folder of two files,
as preprocessing does. Each set has a table of processes of its own (`unshare --pid`, which needs root or user
namespaces), so that to the locks it is another machine: whether a process of it lives can only be seen by its count.
Meanwhile this program kills processes (SIGKILL), which are started again, or stops them (SIGSTOP) for up to twice as
long as a lock may stand still, and wakes them up (SIGCONT). The first look at a published case is compared with the
last one, and every process writes down what it published.
"""

from __future__ import annotations

import argparse
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from autoseg.errors import LockTakenOver
from autoseg.files import folder_replaced_when_done
from autoseg.run_folder.lock import locked_if_free
from autoseg.run_folder.lock_holder import Watch

CASES = 24
"""Cases of a generation; once all of them are published, the next generation begins."""

UNSHARE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
UNSHARE_AS_USER = (UNSHARE[0], "--user", "--map-root-user", *UNSHARE[1:])
SECONDS_OF_A_CASE = 0.1


@dataclass
class Found:
    """What became of the folder.

    Args:
        kills: number of processes that were killed.
        stops: number of processes that were stopped and woken up.
        published: number of published cases.
        taken_over: number of times that a process which woke up found its work taken over, and published nothing.
        wrong: what must not be: cases that were published twice, half, or not at all.
    """

    kills: int = 0
    stops: int = 0
    published: int = 0
    taken_over: int = 0
    wrong: list[str] = field(default_factory=list)


def namespaces() -> tuple[str, ...] | None:
    """The command that gives a process its own table of processes; None where this is not allowed here."""
    for command in (UNSHARE, UNSHARE_AS_USER):
        with suppress(OSError):
            if subprocess.run([*command, "true"], capture_output=True, timeout=20).returncode == 0:
                return command
    return None


def kills(folder: Path, rounds: int, patience: float, *, seed: int = 0, sets: int = 2, workers: int = 2) -> Found:
    """Kill and stop processes at random, and return what became of the folder.

    Args:
        folder: empty folder that the processes share.
        rounds: number of kills and stops.
        patience: seconds for which a lock may stand still.
        seed: seed of what is done to which process.
        sets: number of sets of processes, each with its own table of processes.
        workers: number of processes of each set.
    """
    apart = namespaces()
    assert apart is not None, "this machine allows no namespaces"
    python = [sys.executable, "-m", "benchmarks.kills", "--set", str(folder), str(patience), str(workers)]
    started = [subprocess.Popen([*apart, *python], start_new_session=True) for _ in range(sets)]
    rng, found, first = random.Random(seed), Found(), dict[Path, str]()
    try:
        while found.kills + found.stops < rounds:
            time.sleep(rng.uniform(0.05, 0.4))
            victims = [process for one in started for process in _workers(one.pid)]
            if not victims:
                continue
            _hit(rng.choice(victims), rng, patience, found)
            _look(folder, first, found)
        (folder / "stop").touch()
        for one in started:
            one.wait(timeout=60 + 20 * patience)
    finally:
        for one in started:
            one.kill()
    _judge(folder, first, found)
    return found


def _hit(process: psutil.Process, rng: random.Random, patience: float, found: Found) -> None:
    with suppress(psutil.NoSuchProcess):
        if rng.random() < 0.6:
            process.kill()
            found.kills += 1
        else:
            process.suspend()
            time.sleep(rng.uniform(0.1, 2.0) * patience)
            process.resume()
            found.stops += 1


def _workers(supervisor: int) -> list[psutil.Process]:
    """The processes that work for a set."""
    with suppress(psutil.NoSuchProcess):
        below = psutil.Process(supervisor).children(recursive=True)
        return [process for process in below if "--worker" in _arguments(process)]
    return []


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _look(folder: Path, first: dict[Path, str], found: Found) -> None:
    """Compare every published case with what it was at first."""
    for case in sorted(folder.glob("generation_*/case_*")):
        try:
            tokens = {(case / name).read_text() for name in ("image", "label")}
        except FileNotFoundError as error:
            found.wrong.append(f"{case.name}: half published: {error}")
            continue
        if len(tokens) != 1 or not next(iter(tokens)).endswith("complete"):
            found.wrong.append(f"{case.name}: half published")
        token = next(iter(tokens))
        if first.setdefault(case, token) != token:
            found.wrong.append(f"{case.name}: published twice")


def _judge(folder: Path, first: dict[Path, str], found: Found) -> None:
    _look(folder, first, found)
    generations = sorted(folder.glob("generation_*"))
    for generation in generations:
        lost = CASES - len(list(generation.glob("case_*")))
        if lost:
            found.wrong.append(f"{generation.name}: {lost} cases are lost")
        if left := [path.name for path in generation.iterdir() if path.name.startswith(".") and any(path.iterdir())]:
            found.wrong.append(f"{generation.name}: {left} are left over")
    lines = [line for log in folder.glob("log_*") for line in log.read_text().splitlines()]
    told = [line.split()[1] for line in lines if line.startswith("published")]
    found.wrong += [f"{case}: two processes published it" for case in sorted({c for c in told if told.count(c) > 1})]
    found.published, found.taken_over = len(first), sum(line.startswith("taken over") for line in lines)


def supervise(folder: Path, patience: float, workers: int) -> None:
    """Keep the processes of a set running until the folder holds a file `stop`, and all have ended."""
    command = [sys.executable, "-m", "benchmarks.kills", "--worker", str(folder), str(patience)]
    running = [subprocess.Popen(command) for _ in range(workers)]
    while running:
        for process in list(running):
            if (status := process.poll()) is not None:
                running.remove(process)
                if status != 0 or not (folder / "stop").exists():
                    running.append(subprocess.Popen(command))
        time.sleep(0.05)


def work(folder: Path, patience: float) -> None:
    """Publish the cases of one generation after the other; ends after the generation in which `stop` appears."""
    log, number = folder / f"log_{secrets.token_hex(8)}", 0
    while True:
        generation = folder / f"generation_{number:04d}"
        _publish_all(generation, patience, log)
        number += 1
        following = folder / f"generation_{number:04d}"
        if (folder / "stop").exists() and not following.exists():
            return


def _publish_all(generation: Path, patience: float, log: Path) -> None:
    watch, rng = Watch(patience), random.Random()
    places = [generation / f"case_{number:02d}" for number in range(CASES)]
    rng.shuffle(places)
    while left := [place for place in places if not place.exists()]:
        for place in left:
            try:
                with locked_if_free(place, "publishing", watch) as mine:
                    if mine is None or place.exists():
                        continue
                    _publish(place)
                with log.open("a") as file:
                    file.write(f"published {generation.name}/{place.name}\n")
            except LockTakenOver:
                with log.open("a") as file:
                    file.write("taken over\n")
        time.sleep(patience / 50)


def _publish(place: Path) -> None:
    token = secrets.token_hex(8)
    with folder_replaced_when_done(place) as folder:
        for name in ("image", "label"):
            with (folder / name).open("w") as file:
                file.write(token)
                file.flush()
                time.sleep(random.uniform(0.2, 1) * SECONDS_OF_A_CASE)
                file.write(" complete")


def main() -> None:
    """Run the benchmark, or one of its processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--patience", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs=3, metavar=("FOLDER", "PATIENCE", "WORKERS"), help=argparse.SUPPRESS)
    parser.add_argument("--worker", nargs=2, metavar=("FOLDER", "PATIENCE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.set:
        supervise(Path(given.set[0]), float(given.set[1]), int(given.set[2]))
    elif given.worker:
        work(Path(given.worker[0]), float(given.worker[1]))
    elif namespaces() is None:
        sys.exit("this machine allows no namespaces (unshare --pid): nothing is measured")
    else:
        folder = Path(tempfile.mkdtemp(prefix="kills-"))
        began = time.monotonic()
        found = kills(folder, given.rounds, given.patience, seed=given.seed)
        print(
            f"{found.kills} kills and {found.stops} stops in {time.monotonic() - began:.0f} s: {found.published} cases "
            f"published, {found.taken_over} times taken over from a process that stood still; wrong: {len(found.wrong)}"
        )
        print("\n".join(found.wrong))
        shutil.rmtree(folder)
        sys.exit(bool(found.wrong))


if __name__ == "__main__":
    main()
