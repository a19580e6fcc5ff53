"""What is remembered of a raw data set: its cases and files, and how to tell that one has changed.

It is all that later stages need to know of the data set, so that they work without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from autoseg.dataset.case import Case, Dataset
from autoseg.files import FileModel
from autoseg.image.labels import Labels


class FileRecord(FileModel):
    """A file of the raw data set (or a folder of DICOM slices) and how to tell that it changed.

    Args:
        path: relative to the data set's folder where it lies inside it.
        size: bytes; of a folder the sum over its files.
        modified: nanoseconds since 1970; of a folder its files' latest.
    """

    path: str
    size: int
    modified: int


class CaseSource(FileModel):
    """Where a case came from.

    Args:
        images: a file for each channel; None where that sequence was not acquired.
    """

    name: str
    patient: str | None
    strata: dict[str, str]
    images: tuple[FileRecord | None, ...]
    label: FileRecord | None


class DatasetRecord(FileModel):
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
