"""What every row of the table is given: where everything lies, and how runs are timed, copied and kept."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from autoseg.files import folder_replaced_when_done, write_text
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.time_spent import read_time_spent
from benchmarks.clock.course import NOBODY, Course, Kills, Others, take
from benchmarks.clock.program import Program
from benchmarks.clock.timed_run import TimedRun, read_timed_run, timed_run, write_timed_run
from benchmarks.quiet import wait_until_quiet

CASES = 40
SYNTHETIC = f"{CASES} spines (synthetic)"
RESULTS = {"models", "cross_validation", "report"}
"""What training and reporting make in a RUN folder."""


@dataclass(frozen=True)
class Job:
    """An `autoseg run` that is timed.

    Args:
        name: of its RUN folder.
        dataset: that it is on.
        data: what the table calls the data set.
        budget: seconds.
        program: that runs; None = it is wanted as somebody ran it before.
        seed: written into its plan before anything rests on it; None = the plan's own.
        source: a RUN folder that it begins with a copy of.
        kills: seconds after its beginning, at which it is killed, or else as soon as it trains.
    """

    name: str
    dataset: Path
    data: str
    budget: float
    program: Program | None
    seed: int | None = None
    source: RunFolder | None = None
    kills: tuple[float, ...] = ()


@dataclass(frozen=True)
class Bench:
    """Where the data are, where everything goes, and what is measured.

    Args:
        data: folder of the real data sets.
        folder: for the synthetic data, runs and logs.
        measured: for the rows.
        ours: this checkout.
        before: what it is compared with; None = only runs of it that are there.
        seeds: of plans, more than the first where a comparison misses its limit.
        replayed_folds: that are repeated after kills.
        minutes: budget of a run on the synthetic data.
    """

    data: Path
    folder: Path
    measured: Path
    ours: Program
    before: Program | None
    seeds: tuple[int, ...]
    replayed_folds: tuple[int, ...]
    minutes: float = 6

    def row_file(self, row: str) -> Path:
        """Where the result of a row is kept."""
        return self.measured / f"{row}.json"

    def run(self, name: str) -> RunFolder:
        """The RUN folder of that name."""
        return RunFolder(self.folder / name)

    def kept(self, name: str) -> Path:
        """Where what was found of a timed run is kept."""
        return self.folder / "measured" / f"{name}.json"

    def log(self, name: str) -> Path:
        """Of all that the commands on a RUN folder print."""
        return self.folder / "logs" / f"{name}.txt"

    def forget(self, names: str) -> None:
        """Remove the runs of these names, a pattern, and what was found of them."""
        for file in (self.folder / "measured").glob(f"{names}.json"):
            file.unlink()
        for path in self.folder.glob(names):
            # beside folders of runs that were started by hand there may be logs of these names
            if path.is_dir():
                shutil.rmtree(path)

    def synthetic(self) -> Path:
        """The demonstration's data set; drawn where it is missing."""
        folder = self.folder / "synthetic_spine"
        if not folder.exists():
            self.call("phantom", ["phantom", "-o", folder, "--cases", str(CASES)])
        return folder

    def job(
        self, name: str, *, parts: float = 1, source: RunFolder | None = None, kills: tuple[float, ...] = ()
    ) -> Job:
        """A run on the synthetic data.

        Args:
            name: of its RUN folder.
            parts: of the budget of a run, that it has.
            source: a RUN folder that it begins with a copy of.
            kills: seconds after its beginning at which it is killed.
        """
        budget = 60 * self.minutes * parts
        return Job(name, self.synthetic(), SYNTHETIC, budget, self.ours, source=source, kills=kills)

    def call(self, log: str, arguments: Sequence[str | Path], others: Others = NOBODY) -> float:
        """Call one of our commands; its seconds.

        Args:
            log: name of the file for what it prints.
            arguments: after `autoseg`.
            others: what computes beside it.
        """
        course = Course(self.ours.command(*arguments), self.log(log), self.ours.environment)
        take([course], others)
        return course.seconds

    def timed(self, jobs: Sequence[Job], others: Others = NOBODY) -> list[TimedRun]:
        """What runs made of their budgets, started together; those that were timed before are not timed again."""
        if not all(self.kept(job.name).exists() for job in jobs):
            self._time(jobs, others)
        return [read_timed_run(self.kept(job.name)) for job in jobs]

    def found_or_timed(self, job: Job) -> TimedRun:
        """What a run made of its budget that anybody has run, or else is timed now."""
        run = self.run(job.name)
        if not self.kept(job.name).exists() and (run.report / "summary.json").exists():
            versions = {} if job.program is None else job.program.versions()
            found = timed_run(run, data=job.data, budget=job.budget, seconds=None, versions=versions)
            write_timed_run(self.kept(job.name), found)
        return self.timed([job])[0]

    def begin(self, name: str, source: RunFolder | None = None) -> RunFolder:
        """Make room for a run, and copy what it begins with.

        Args:
            name: of its RUN folder; what this benchmark left unfinished there is removed.
            source: a RUN folder whose plan and preprocessed cases it gets.

        Raises:
            SystemExit: somebody else's run lies there.
        """
        run, log = self.run(name), self.log(name)
        if run.path.exists() and not log.exists():
            raise SystemExit(f"{run.path}: is not finished, and was not begun here; finish it or remove it")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        if run.path.exists():
            shutil.rmtree(run.path)
        if source is not None:
            copy_without_results(source, run)
        return run

    def _time(self, jobs: Sequence[Job], others: Others) -> None:
        programs = [_program_of(job) for job in jobs]
        runs = [self.begin(job.name, job.source) for job in jobs]
        versions = [program.versions() for program in programs]
        before = [read_time_spent(run).total for run in runs]
        cores = wait_until_quiet()
        planned = [self._plan_by_seed(job, run) for job, run in zip(jobs, runs, strict=True)]
        courses = [
            Course(
                program.command("run", job.dataset, "-o", run.path, *_budget(job)),
                self.log(job.name),
                program.environment,
                Kills(job.kills, partial(is_training, run=run)),
            )
            for job, run, program in zip(jobs, runs, programs, strict=True)
        ]
        take(courses, others)
        for number, (job, run, course) in enumerate(zip(jobs, runs, courses, strict=True)):
            found = timed_run(
                run,
                data=job.data,
                budget=job.budget,
                seconds=planned[number] + course.seconds,
                versions=versions[number],
                seconds_before=before[number],
                killed=course.killed,
                cores_of_others=cores,
            )
            write_timed_run(self.kept(job.name), found)

    def _plan_by_seed(self, job: Job, run: RunFolder) -> float:
        """Plan by the job's seed, if it has one; seconds of that, which are part of the run."""
        if job.seed is None:
            return 0.0
        program = _program_of(job)
        arguments: list[str | Path] = ["plan-and-preprocess", job.dataset, "-o", run.path, *_budget(job), "--plan-only"]
        course = Course(program.command(*arguments), self.log(job.name), program.environment)
        take([course])
        set_seed(run.plan, job.seed)
        return course.seconds


def copy_without_results(source: RunFolder, target: RunFolder) -> None:
    """Copy a RUN folder with its plan, folds, and preprocessed cases, as it was before anything was trained."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        results = RESULTS if Path(folder) == source.path else set()
        return {name for name in names if name.startswith(".") or name in results}

    with folder_replaced_when_done(target.path) as making:
        shutil.copytree(source.path, making, dirs_exist_ok=True, ignore=left_out)


def set_seed(plan: Path, seed: int) -> None:
    """Edit the seed, in the text, as a person does: an earlier release reads no plan that this one writes.

    The folds stay those that were made.
    """
    text, found = re.subn(r"(?m)^seed: \d+", f"seed: {seed}", plan.read_text(encoding="utf-8"))
    if found != 1:
        raise ValueError(f"{plan}: has {found} lines of a seed")
    write_text(plan, text)


def is_training(pid: int, *, run: RunFolder) -> bool:
    """Whether a process trains a fold of a run: it then holds the lock in the fold's folder."""
    models = run.path.resolve() / "models"
    with suppress(psutil.Error):
        opened = [Path(file.path) for file in psutil.Process(pid).open_files()]
        return any(file.name == ".lock" and file.is_relative_to(models) for file in opened)
    return False


def _program_of(job: Job) -> Program:
    if job.program is None:
        raise SystemExit(f"{job.name}: has not been run, and no program to run it is given: give --before")
    return job.program


def _budget(job: Job) -> list[str]:
    return ["--time-budget", f"{job.budget:g}s"]
