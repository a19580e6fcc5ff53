"""The record of a raw data set: its cases, and its files with size and time, which show whether one has changed.

Later stages read this record, so that they work without the raw data set.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from autoseg.dataset.case import Case, Dataset
from autoseg.files import FileModel
from autoseg.image.labels import Labels


class FileRecord(FileModel):
    """A file of the raw data set (or a folder of DICOM slices), with the values that show a change.

    Args:
        path: path relative to the data set's folder; absolute if the file is outside of it.
        size: size in bytes; for a folder the sum over its files.
        modified: time of the last change in nanoseconds since 1970; for a folder the latest of its files.
    """

    path: str
    size: int
    modified: int


class CaseSource(FileModel):
    """A case of the raw data set and its files.

    Args:
        name: name of the case.
        patient: identifier of the patient; None where the data set names none.
        strata: values of the stratification columns, by column.
        images: a file for each channel; None where that sequence was not acquired.
        label: file of the label map; None where there is none.
    """

    name: str
    patient: str | None
    strata: dict[str, str]
    images: tuple[FileRecord | None, ...]
    label: FileRecord | None


class DatasetRecord(FileModel):
    """Content of the RUN folder's `dataset.json`: the record of the raw data set.

    Args:
        name: name of the data set.
        description: description in the data set's own `dataset.json`; may be empty.
        synthetic: whether that file states that the images are synthetic; None = it does not say, or the record was
            written by an earlier release.
        layout: "nnunet", "decathlon" or "table".
        channels: names of the channels, in order.
        ct: for each channel whether it is CT (Hounsfield units).
        labels: values and names of the classes.
        file_ending: ending of the image files, such as ".nii.gz".
        cases: training cases and their files.
    """

    schema_version: Literal[1] = 1
    name: str
    description: str = ""
    synthetic: bool | None = None
    layout: str
    channels: tuple[str, ...]
    ct: tuple[bool, ...]
    labels: Labels
    file_ending: str
    cases: tuple[CaseSource, ...]


def record_of(dataset: Dataset) -> DatasetRecord:
    """Make the record of a data set; no voxels are read."""
    return DatasetRecord(
        name=dataset.name,
        description=dataset.description,
        synthetic=dataset.synthetic,
        layout=dataset.layout,
        channels=dataset.channels,
        ct=dataset.ct,
        labels=dataset.labels,
        file_ending=dataset.file_ending,
        cases=tuple(_source(case, dataset.folder) for case in dataset.cases),
    )


def changed_cases(before: DatasetRecord, now: DatasetRecord) -> tuple[str, ...]:
    """Names of the cases that are gone, new or changed; all cases if the labels or channels differ."""
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
    """Make the record of a file, or a folder of DICOM slices; `folder` is the data set's folder."""
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    facts = [file.stat() for file in files if file.exists()]
    absolute, root = path.absolute(), folder.absolute()
    return FileRecord(
        path=(absolute.relative_to(root) if absolute.is_relative_to(root) else absolute).as_posix(),
        size=sum(fact.st_size for fact in facts),
        modified=max((fact.st_mtime_ns for fact in facts), default=0),
    )
