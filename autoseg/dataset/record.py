"""The record of a raw data set: its cases, and its files with the hash of their content, which shows a change.

Later stages read this record, so that they work without the raw data set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

from autoseg.dataset.case import Case, Dataset
from autoseg.disk.checksums import SealedModel, digest_of
from autoseg.errors import ImageError
from autoseg.files import FileModel
from autoseg.image.annotated_classes import EVERY, AnnotatedClasses
from autoseg.image.file_kind import why_unreadable
from autoseg.image.flat.resolution import PixelSpacing
from autoseg.image.integrity import files_of_image
from autoseg.image.labels import Labels
from autoseg.image.path_choice import split_choice
from autoseg.names import PlainName
from autoseg.terminal import progress_bar

BYTES_WITHOUT_A_BAR = 500_000_000
"""Reading so many bytes for their hash takes about half a second, and needs no progress bar."""


class FileRecord(FileModel):
    """A file of the raw data set (or a folder of DICOM slices), with the values that show a change.

    Args:
        path: path relative to the data set's folder; absolute if the file is outside of it.
        size: size in bytes; for a folder the sum over its files.
        modified: time of the last change in nanoseconds since 1970; for a folder the latest of its files.
        sha256: SHA-256 of the content as hexadecimal digits; for a folder, that of its files' names and contents. None
            in records of earlier releases.
    """

    path: str
    size: int
    modified: int
    sha256: str | None = None

    def is_as(self, now: FileRecord) -> bool:
        """Whether the file's content is now as in this record; one of earlier releases goes by path, size and time.

        A file that cannot be read now has no hash, and counts as changed, so that the data set is checked.
        """
        if self.sha256 is not None:
            return self.sha256 == now.sha256
        return self._path_size_time == now._path_size_time

    @property
    def _path_size_time(self) -> tuple[str, int, int]:
        return self.path, self.size, self.modified


def are_as(files: Sequence[FileRecord | None], others: Sequence[FileRecord | None]) -> bool:
    """Whether two sequences of records are of the same content, place by place."""
    return len(files) == len(others) and all(
        a is b if a is None or b is None else a.is_as(b) for a, b in zip(files, others, strict=True)
    )


class CaseSource(FileModel):
    """A case of the raw data set and its files.

    Args:
        name: name of the case.
        patient: identifier of the patient; None where the data set names none.
        strata: values of the stratification columns, by column.
        images: a file for each channel; None where that sequence was not acquired.
        label: file of the label map; None where there is none.
        drawn_on: sequence that the label was drawn on; None where the data set does not say, and in earlier releases.
        annotated: classes that were looked for in the label map; all of them in records of earlier releases.
    """

    name: PlainName
    patient: str | None
    strata: dict[str, str]
    images: tuple[FileRecord | None, ...]
    label: FileRecord | None
    drawn_on: str | None = None
    annotated: AnnotatedClasses = EVERY

    @property
    def files(self) -> tuple[FileRecord | None, ...]:
        """The files of the channels, then that of the label."""
        return (*self.images, self.label)

    def is_as(self, other: CaseSource | None) -> bool:
        """Whether another record is of the same case, with files of the same content."""
        return other is not None and self._facts == other._facts and are_as(self.files, other.files)

    @property
    def _facts(self) -> tuple[object, ...]:
        return self.name, self.patient, self.strata, self.drawn_on, self.annotated


class DatasetRecord(SealedModel, FileModel):
    """Content of the RUN folder's `dataset.json`: the record of the raw data set.

    Args:
        name: name of the data set.
        description: description in the data set's own `dataset.json`; may be empty.
        synthetic: whether that file states that the images are synthetic; None = it does not say, or the record was
            written by an earlier release.
        layout: "nnunet", "decathlon", "table", or in words how a folder without any of them was understood.
        channels: names of the channels, in order.
        ct: for each channel whether it is CT (Hounsfield units).
        labels: values and names of the classes.
        file_ending: ending of the image files, such as ".nii.gz".
        pixel_spacing: spacing (y, x) in mm with which pictures are read; None = as their files state.
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
    pixel_spacing: PixelSpacing | None = None
    cases: tuple[CaseSource, ...]


def record_of(
    dataset: Dataset, known: DatasetRecord | None = None, *, trust_times: bool = False, workers: int = 1
) -> DatasetRecord:
    """Make the record of a data set; every file is read once for the hash of its content.

    Args:
        dataset: data set whose cases are listed.
        known: former record of the data set; None = there is none.
        trust_times: take the hash of a file from `known` where its path, size and time are as they were.
        workers: number of files that are read at once.
    """
    hashes = _known_hashes(known) if trust_times and known is not None else {}
    return _record_of(dataset, hashes, workers)


def _record_of(dataset: Dataset, hashes: Mapping[tuple[str, int, int], str], workers: int | None) -> DatasetRecord:
    """Make the record of a data set.

    Args:
        dataset: data set whose cases are listed.
        hashes: known hashes by path, size and time.
        workers: number of files that are read at once for theirs; None = none is read, and gets no hash.
    """
    paths = [path for case in dataset.cases for path in (*case.images, case.label) if path is not None]
    records = {path: file_record(path, dataset.folder) for path in dict.fromkeys(paths)}
    files = _hashed(records, hashes, workers)

    def source(case: Case) -> CaseSource:
        return CaseSource(
            name=case.name,
            patient=case.patient,
            strata=case.strata,
            images=tuple(None if image is None else files[image] for image in case.images),
            label=None if case.label is None else files[case.label],
            drawn_on=case.drawn_on,
            annotated=case.annotated,
        )

    return DatasetRecord(
        name=dataset.name,
        description=dataset.description,
        synthetic=dataset.synthetic,
        layout=dataset.layout,
        channels=dataset.channels,
        ct=dataset.ct,
        labels=dataset.labels,
        file_ending=dataset.file_ending,
        pixel_spacing=dataset.pixel_spacing,
        cases=tuple(source(case) for case in dataset.cases),
    )


def changed_by_times(before: DatasetRecord, dataset: Dataset) -> tuple[str, ...]:
    """As `changed_cases`, without reading a file: one whose path, size or time is another counts as changed.

    Args:
        before: record of the data set.
        dataset: the data set as it now is.
    """
    return changed_cases(before, _record_of(dataset, _known_hashes(before), None))


def _known_hashes(known: DatasetRecord) -> dict[tuple[str, int, int], str]:
    """Hashes of a former record, keyed by path, size and time."""
    files = (file for case in known.cases for file in case.files if file is not None)
    return {(file.path, file.size, file.modified): file.sha256 for file in files if file.sha256 is not None}


def _hashed(
    records: Mapping[Path, FileRecord], known: Mapping[tuple[str, int, int], str], workers: int | None
) -> dict[Path, FileRecord]:
    """Add to every record the hash of its file; files are read in threads, or none is where `workers` is None."""
    found = {path: known.get((record.path, record.size, record.modified)) for path, record in records.items()}
    left = [] if workers is None else [path for path, digest in found.items() if digest is None]
    large = sum(records[path].size for path in left) > BYTES_WITHOUT_A_BAR
    with ThreadPoolExecutor(max(1, workers or 1)) as pool, progress_bar() if large else nullcontext() as bar:
        task = None if bar is None else bar.add_task("Reading the files", total=len(left))
        for path, digest in zip(left, pool.map(content_hash, left), strict=True):
            found[path] = digest
            if bar is not None and task is not None:
                bar.advance(task)
    return {path: record.changed(sha256=found[path]) for path, record in records.items()}


def content_hash(path: Path) -> str | None:
    """SHA-256 of a file, or of names and contents of a folder of DICOM slices and of what is chosen in it.

    It is None where the path cannot be read.
    """
    try:
        if not (files := _files_of(path)):
            return None
        if files == [path]:
            return digest_of(path)
        # another choice is another image of the same files
        digest = hashlib.sha256(split_choice(path)[1].encode())
        for file in files:
            digest.update(f"{digest_of(file)}  {file.name}\n".encode())
        return digest.hexdigest()
    except OSError:
        # it counts as changed then, and the check of the data set tells what is wrong with it
        return None


def changed_cases(before: DatasetRecord, now: DatasetRecord) -> tuple[str, ...]:
    """Names of the cases that are gone, new or changed; all cases if labels, channels or the size of pixels differ."""
    old, new = ({case.name: case for case in record.cases} for record in (before, now))
    names = tuple(dict.fromkeys([*old, *new]))
    if any(getattr(before, fact) != getattr(now, fact) for fact in ("labels", "channels", "ct", "pixel_spacing")):
        return names
    return tuple(name for name in names if name not in old or not old[name].is_as(new.get(name)))


def _files_of(path: Path) -> list[Path]:
    """The files of an image: those in a folder of DICOM slices or of a series, or a file and what lies beside it.

    There is none where the path cannot be opened; the check of the data set tells why.
    """
    if why_unreadable(path) is not None:
        return []
    _, chosen = split_choice(path)
    if not chosen:
        is_folder = path.is_dir()
        return sorted(file for file in path.iterdir() if file.is_file()) if is_folder else list(files_of_image(path))
    # imported here, since pydicom takes long, and every command imports this module
    from autoseg.image.dicom.sources import files_of

    try:
        return files_of(path)
    except ImageError:
        return []


def file_record(path: Path, folder: Path) -> FileRecord:
    """Make the record of a file, or a folder of DICOM slices, without its hash; `folder` is the data set's folder."""
    files = _files_of(path)
    facts = [file.stat() for file in files if file.exists()]
    absolute, root = path.absolute(), folder.absolute()
    return FileRecord(
        path=(absolute.relative_to(root) if absolute.is_relative_to(root) else absolute).as_posix(),
        size=sum(fact.st_size for fact in facts),
        modified=max((fact.st_mtime_ns for fact in facts), default=0),
    )
