"""What a RUN folder remembers beside its results: what was read (`dataset.json`) and the time it took.

`dataset.json` is all that later stages need to know of the raw data set, so that they work without
it; file sizes and times in it tell cheaply whether the data set has changed since.
`time_spent.json` adds up the seconds of every stage over restarts.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autoseg import clock
from autoseg.dataset.case import Case, Dataset
from autoseg.labels import Labels
from autoseg.model_files import read_existing
from autoseg.run_folder import RunFolder, write_text


class StateModel(BaseModel):
    """Common settings: immutable, unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRecord(StateModel):
    """A file of the raw data set (or a folder of DICOM slices) and how to tell that it changed.

    Args:
        path: relative to the data set's folder where it lies inside it.
        size: bytes; of a folder the sum over its files.
        modified: nanoseconds since 1970; of a folder its files' latest.
    """

    path: str
    size: int
    modified: int


class CaseSource(StateModel):
    """Where a case came from.

    Args:
        images: a file for each channel; None where that sequence was not acquired.
    """

    name: str
    patient: str | None
    strata: dict[str, str]
    images: tuple[FileRecord | None, ...]
    label: FileRecord | None


class DatasetRecord(StateModel):
    """`dataset.json`: what was read from the raw data set.

    Args:
        layout: "nnunet", "decathlon" or "table".
        ct: for each channel whether it is CT (Hounsfield units).
        file_ending: of its image files.
        description: in the words of its own `dataset.json`; may be empty.
    """

    schema_version: Literal[1] = 1
    name: str
    description: str = ""
    layout: str
    channels: tuple[str, ...]
    ct: tuple[bool, ...]
    labels: Labels
    file_ending: str
    cases: tuple[CaseSource, ...]


def record_of(dataset: Dataset) -> DatasetRecord:
    """What `dataset.json` keeps of a data set; reads no voxels."""
    return DatasetRecord(
        name=dataset.name,
        description=dataset.description,
        layout=dataset.layout,
        channels=dataset.channels,
        ct=dataset.ct,
        labels=dataset.labels,
        file_ending=dataset.file_ending,
        cases=tuple(_source(case, dataset.folder) for case in dataset.cases),
    )


def changed_cases(before: DatasetRecord, now: DatasetRecord) -> tuple[str, ...]:
    """Names of the cases that are gone, new, or whose files differ; all, if the labels or channels do."""
    old, new = ({case.name: case for case in record.cases} for record in (before, now))
    names = tuple(dict.fromkeys([*old, *new]))
    if (before.labels, before.channels, before.ct) != (now.labels, now.channels, now.ct):
        return names
    return tuple(name for name in names if old.get(name) != new.get(name))


def write_record(run: RunFolder, record: DatasetRecord) -> None:
    """Write `dataset.json`, atomically."""
    write_text(run.dataset, record.model_dump_json(indent=1))


def read_record(run: RunFolder) -> DatasetRecord:
    """Read `dataset.json`.

    Raises:
        RunFolderError: it is missing or malformed; names file and field.
    """
    run.require(run.dataset, "autoseg plan-and-preprocess")
    return read_existing(run.dataset, DatasetRecord)


class TimeSpent(StateModel):
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


class _Reported(BaseModel):
    """What tells whose report `report/` is; other fields of `summary.json` are the evaluation's own."""

    model_config = ConfigDict(extra="ignore")

    configuration: str | None = None


def report_folder(run: RunFolder, configuration: str) -> Path:
    """Where a configuration's report goes.

    `report/` belongs to the configuration that was reported on first, as its `summary.json` says;
    any other one has `report/CONFIG/`, so that none overwrites another's.
    """
    try:
        text = (run.report / "summary.json").read_text(encoding="utf-8")
        first = _Reported.model_validate_json(text).configuration
    except (FileNotFoundError, ValidationError):
        first = None
    return run.report if first in (None, configuration) else run.report / configuration


def _source(case: Case, folder: Path) -> CaseSource:
    return CaseSource(
        name=case.name,
        patient=case.patient,
        strata=case.strata,
        images=tuple(None if image is None else file_record(image, folder) for image in case.images),
        label=None if case.label is None else file_record(case.label, folder),
    )


def file_record(path: Path, folder: Path) -> FileRecord:
    """Name, size and time of a file, or of a folder of slices, of a data set that lies in `folder`."""
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    facts = [file.stat() for file in files if file.exists()]
    absolute, root = path.absolute(), folder.absolute()
    return FileRecord(
        path=(absolute.relative_to(root) if absolute.is_relative_to(root) else absolute).as_posix(),
        size=sum(fact.st_size for fact in facts),
        modified=max((fact.st_mtime_ns for fact in facts), default=0),
    )
