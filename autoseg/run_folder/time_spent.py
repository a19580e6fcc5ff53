"""`time_spent.json`: the seconds that every stage of a run has taken, summed over restarts."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Literal

from filelock import FileLock
from pydantic import Field

from autoseg.files import FileModel, read_existing, write_text
from autoseg.machine import clock
from autoseg.run_folder.paths import RunFolder


class TimeSpent(FileModel):
    """Content of `time_spent.json`.

    Args:
        seconds: seconds spent so far, keyed by stage, such as `fingerprint` or `train 3d fold 0`.
    """

    schema_version: Literal[1] = 1
    seconds: dict[str, float] = Field(default_factory=dict)

    @property
    def total(self) -> float:
        """Seconds of all stages together."""
        return sum(self.seconds.values())

    def of(self, stages: Sequence[str]) -> float:
        """Sum of the seconds of `stages`; a stage that has not begun counts as 0."""
        return sum(self.seconds.get(stage, 0.0) for stage in stages)


def read_time_spent(run: RunFolder) -> TimeSpent:
    """Read `time_spent.json`; no time is spent where there is no such file yet.

    Raises:
        RunFolderError: the file is malformed.
    """
    return read_existing(run.time_spent, TimeSpent) if run.time_spent.exists() else TimeSpent()


def add_time(run: RunFolder, stage: str, seconds: float) -> None:
    """Add seconds to a stage in `time_spent.json`; several processes may do so at the same time."""
    run.path.mkdir(parents=True, exist_ok=True)
    with FileLock(run.path / ".time_spent.lock"):
        spent = dict(read_time_spent(run).seconds)
        spent[stage] = spent.get(stage, 0.0) + seconds
        write_text(run.time_spent, TimeSpent(seconds=spent).model_dump_json(indent=1))


def rename_stage(run: RunFolder, stage: str, name: str) -> None:
    """Move the seconds of `stage` to the stage `name`, added to the seconds that it has already."""
    with FileLock(run.path / ".time_spent.lock"):
        spent = dict(read_time_spent(run).seconds)
        if seconds := spent.pop(stage, 0.0):
            spent[name] = spent.get(name, 0.0) + seconds
            write_text(run.time_spent, TimeSpent(seconds=spent).model_dump_json(indent=1))


@contextmanager
def timed(run: RunFolder, stage: str, *, every: float = 3.0) -> Iterator[None]:
    """Add the seconds that the block takes to `stage`; time in which the process was stopped does not count.

    Args:
        run: RUN folder that holds `time_spent.json`.
        stage: name of the stage.
        every: seconds between two writes, so that kill -9 loses no more than this.
    """
    ended = threading.Event()
    last = clock.now()

    def write_down() -> None:
        nonlocal last
        now = clock.now()
        add_time(run, stage, now - last)
        last = now

    def keep_writing() -> None:
        while not ended.wait(every):
            # on a full disk the stage itself fails, with a message of its own
            with suppress(OSError):
                write_down()

    writer = threading.Thread(target=keep_writing, daemon=True)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()
        with suppress(OSError):
            write_down()
