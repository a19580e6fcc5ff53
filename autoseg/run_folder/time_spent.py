"""`time_spent.json`: the seconds of every stage, added up over restarts."""

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
    """`time_spent.json`.

    Args:
        seconds: by stage, such as `fingerprint` or `train 3d fold 0`.
    """

    schema_version: Literal[1] = 1
    seconds: dict[str, float] = Field(default_factory=dict)

    @property
    def total(self) -> float:
        """Seconds of all stages together."""
        return sum(self.seconds.values())

    def of(self, stages: Sequence[str]) -> float:
        """Seconds of some stages together; a stage that has not begun took none."""
        return sum(self.seconds.get(stage, 0.0) for stage in stages)


def read_time_spent(run: RunFolder) -> TimeSpent:
    """Seconds spent so far; none where there is no `time_spent.json` yet.

    Raises:
        RunFolderError: the file is malformed.
    """
    return read_existing(run.time_spent, TimeSpent) if run.time_spent.exists() else TimeSpent()


def add_time(run: RunFolder, stage: str, seconds: float) -> None:
    """Add seconds to a stage; several processes may do so at once."""
    run.path.mkdir(parents=True, exist_ok=True)
    with FileLock(run.path / ".time_spent.lock"):
        spent = dict(read_time_spent(run).seconds)
        spent[stage] = spent.get(stage, 0.0) + seconds
        write_text(run.time_spent, TimeSpent(seconds=spent).model_dump_json(indent=1))


def rename_stage(run: RunFolder, stage: str, name: str) -> None:
    """Book the seconds of a stage under another name, added to what is there."""
    with FileLock(run.path / ".time_spent.lock"):
        spent = dict(read_time_spent(run).seconds)
        if seconds := spent.pop(stage, 0.0):
            spent[name] = spent.get(name, 0.0) + seconds
            write_text(run.time_spent, TimeSpent(seconds=spent).model_dump_json(indent=1))


@contextmanager
def timed(run: RunFolder, stage: str, *, every: float = 3.0) -> Iterator[None]:
    """Count the seconds of the block towards `stage`.

    Time in which the process was stopped does not count. They are written down every `every` seconds, so that
    kill -9 loses no more than that.
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
            # a full disk stops the stage itself, with a message of its own
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
