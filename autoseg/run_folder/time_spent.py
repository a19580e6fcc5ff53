"""`time_spent.json`: the seconds that every stage of a run has taken, summed over restarts.

A time budget is wall time. Of stages that ran side by side, each counts for a part of the wall time, so that the sum
over all stages is the time that a person has waited.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from autoseg.disk.checksums import SealedModel
from autoseg.errors import LockTakenOver, RunFolderError
from autoseg.files import FileModel, read_model, write_text
from autoseg.machine import clock
from autoseg.plan.plan import Plan
from autoseg.run_folder.lock import locked_briefly
from autoseg.run_folder.others_at_work import OthersAtWork
from autoseg.run_folder.paths import RunFolder
from autoseg.run_folder.timed_stage import Stage, stage_of
from autoseg.terminal import format_duration, open_console


class TimeSpent(SealedModel, FileModel):
    """Content of `time_spent.json`.

    Args:
        seconds: seconds spent so far, keyed by the text of the stage, such as `fingerprint` or `train 3d fold 0`. A
            second in which several stages ran side by side is shared by them.
        beside: seconds that a stage ran beyond those, while others ran beside it; empty where none did.
    """

    schema_version: Literal[1] = 1
    seconds: dict[str, float] = Field(default_factory=dict)
    beside: dict[str, float] = Field(default_factory=dict)

    @property
    def total(self) -> float:
        """Seconds of wall time of all stages together."""
        return sum(self.seconds.values())

    @property
    def by_stage(self) -> dict[Stage, float]:
        """Seconds of each stage that this release knows, in the order of the file."""
        found = ((stage_of(text), seconds) for text, seconds in self.seconds.items())
        return {stage: seconds for stage, seconds in found if stage is not None}

    def of(self, stage: Stage) -> float:
        """Seconds that one stage ran, also beside others; 0 where it has not begun."""
        return self.seconds.get(stage.text, 0.0) + self.beside.get(stage.text, 0.0)

    def told(self, text: str) -> str:
        """Say how long a stage took, and how much of it counts where others ran beside it.

        Args:
            text: text of the stage, as it stands in `seconds`.
        """
        counted, beside = self.seconds[text], self.beside.get(text)
        if beside is None:
            return format_duration(counted)
        return f"{format_duration(counted + beside)}, of which {format_duration(counted)} count: others ran beside it"

    def share_counted(self, stage: Stage) -> float:
        """Share of a stage's own seconds that counts in `total`; 1 where nothing ran beside it."""
        own = self.of(stage)
        return self.seconds.get(stage.text, 0.0) / own if own else 1.0

    def of_run(self, plan: Plan, configurations: Sequence[str]) -> float:
        """Seconds that a run has spent, without those of other configurations in the same RUN folder.

        Args:
            plan: plan that names all configurations.
            configurations: configurations that this run trains.
        """
        others = set(plan.configurations) - set(configurations)
        return self.total - sum(seconds for stage, seconds in self.by_stage.items() if stage.configuration in others)


@dataclass(frozen=True)
class Passed:
    """Seconds that are added to a stage.

    Args:
        counted: seconds that count in the sum of all stages.
        beside: further seconds that the stage ran, which count for other stages.
    """

    counted: float
    beside: float = 0.0


def read_time_spent(run: RunFolder) -> TimeSpent:
    """Read `time_spent.json`; no time is spent where there is no such file yet.

    A damaged file is removed, with a message: nothing but the time budget depends on it.
    """
    advice = "autoseg forgets the time that was spent so far and goes on; the results stay the same"
    try:
        return read_model(run.time_spent, TimeSpent, advice) or TimeSpent()
    except RunFolderError as error:
        open_console(stderr=True).print(f"{error}", style="yellow", soft_wrap=True)
        with suppress(OSError):
            run.time_spent.unlink()
        return TimeSpent()


def add_time(run: RunFolder, stage: Stage, seconds: float) -> None:
    """Add seconds to a stage in `time_spent.json`; several processes may do so at the same time."""
    add_times(run, {stage: Passed(seconds)})


def add_times(run: RunFolder, passed: Mapping[Stage, Passed]) -> None:
    """Add seconds to several stages in `time_spent.json` at once."""
    run.path.mkdir(parents=True, exist_ok=True)
    with locked_briefly(run.time_spent):
        before = read_time_spent(run)
        seconds, beside = dict(before.seconds), dict(before.beside)
        for stage, more in passed.items():
            seconds[stage.text] = seconds.get(stage.text, 0.0) + more.counted
            if more.beside:
                beside[stage.text] = beside.get(stage.text, 0.0) + more.beside
        write_text(run.time_spent, TimeSpent(seconds=seconds, beside=beside).sealed_json())


def rename_stage(run: RunFolder, stage: Stage, renamed: Stage) -> None:
    """Move the seconds of `stage` to the stage `renamed`, added to the seconds that it has already."""
    with locked_briefly(run.time_spent):
        before = read_time_spent(run)
        seconds, beside = dict(before.seconds), dict(before.beside)
        for spent in (seconds, beside):
            if moved := spent.pop(stage.text, 0.0):
                spent[renamed.text] = spent.get(renamed.text, 0.0) + moved
        after = TimeSpent(seconds=seconds, beside=beside)
        if after != before:
            write_text(run.time_spent, after.sealed_json())


@contextmanager
def timed(run: RunFolder, stage: Stage, *, every: float = 3.0, shared: bool = False) -> Iterator[None]:
    """Add the seconds that the block takes to `stage`; time in which the process was stopped does not count.

    Where other processes work on the same run meanwhile, on whatever machine, `shared` lets each count its share of
    the wall time: its own seconds, by its own clock, divided by the number of processes.

    Args:
        run: RUN folder that holds `time_spent.json`.
        stage: stage that the block is, or is a part of.
        every: seconds between two writes, so that kill -9 loses no more than this.
        shared: whether other processes may do such stages at the same time, and count them too.
    """
    ended = threading.Event()
    last = clock.now()
    others = OthersAtWork(run)

    def write_down() -> None:
        nonlocal last
        now = clock.now()
        passed = now - last
        counted = passed / (1 + others.count()) if shared else passed
        add_times(run, {stage: Passed(counted, passed - counted)})
        last = now

    def keep_writing() -> None:
        while not ended.wait(every):
            # on a full disk the stage itself fails, with a message of its own; who stood still adds it the next time
            with suppress(OSError, LockTakenOver):
                write_down()

    writer = threading.Thread(target=keep_writing, daemon=True)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()
        with suppress(OSError, LockTakenOver):
            write_down()
