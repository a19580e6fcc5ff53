"""Images to predict: a folder, files, DICOM folders or a `cases.csv`, grouped into cases.

Only names are looked at. A wrong case keeps its problem to itself: reading it raises, the others go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autoseg.dataset.case import Case
from autoseg.dataset.csv_rows import PATIENT, Row, Table, read_table
from autoseg.dataset.listing import Found, checked_cases, missing
from autoseg.dataset.names import entries, is_dicom_folder, split_channel, split_ending
from autoseg.dataset.read import TABLE_NAME
from autoseg.dataset.table import match_channels
from autoseg.errors import InputError


def read_inputs(paths: Sequence[Path], channels: tuple[str, ...]) -> tuple[Case, ...]:
    """List the cases in some paths.

    Files named by nnU-Net's convention, `CASE_0000.nii.gz`, are grouped into cases: where all are,
    or where the model has several channels. Any other file is a case of its own (with several
    channels, a 4D file). In a `cases.csv` columns are matched to the channels by name; a column that
    is missing, and an empty cell, is a sequence that was not acquired.

    Args:
        paths: folders, image files, folders of DICOM slices, tables; in any mixture.
        channels: names of the model's channels.

    Raises:
        InputError: a path is nothing that can be predicted, or there is no case.
        DatasetError: a table is malformed.
    """
    found: list[Found] = []
    images: list[Path] = []
    for path in dict.fromkeys(Path(path) for path in paths):
        table = path / TABLE_NAME if path.is_dir() else path
        if table.suffix.lower() == ".csv" and table.is_file():
            found += _from_table(read_table(table), channels)
        else:
            images += _images(path)
    found += _from_names(list(dict.fromkeys(images)), channels)
    if not found:
        raise InputError(f"{', '.join(map(str, paths))}: holds no image to predict")
    return checked_cases(found, training=False)


def _images(path: Path) -> list[Path]:
    """Image files and folders of DICOM slices in a path."""
    if not path.exists():
        # one wrong file in a list is a problem of its case
        if split_ending(path)[1]:
            return [path]
        raise InputError(f"{path}: does not exist")
    if path.is_file():
        return [path]
    inside = [entry for entry in entries(path) if entry.is_dir() or split_ending(entry)[1]]
    files = [entry for entry in inside if entry.is_file()]
    if is_dicom_folder(path) and all(split_ending(file)[1].lower() in ("", ".dcm", ".ima") for file in files):
        return [path]
    images = [entry for entry in inside if entry.is_file() or is_dicom_folder(entry)]
    if not images:
        raise InputError(f"{path}: holds no image, no folder of DICOM slices and no {TABLE_NAME}")
    return images


def _from_names(images: Sequence[Path], channels: tuple[str, ...]) -> list[Found]:
    """Cases by the names of their files."""
    count = len(channels)
    splits = {image: split_channel(split_ending(image)[0]) for image in images}
    numbers = {split[1] for split in splits.values() if split is not None}
    # CASE_0001, CASE_0002 … of a model with one channel, or without any _0000, are numbered cases
    follows = 0 in numbers and (count > 1 or (None not in splits.values() and numbers == {0}))
    grouped: dict[str, dict[int, Path]] = {}
    found = []
    for image, split in splits.items():
        if follows and split is not None:
            files = grouped.setdefault(split[0], {})
            if split[1] in files:
                found.append(_twice(split, image, files[split[1]], count))
            files[split[1]] = image
        else:
            found.append(Found(_whole(image, count), str(image)))
    found += [Found(_numbered(name, files, channels), str(files[min(files)])) for name, files in grouped.items()]
    return found


def _whole(image: Path, count: int) -> Case:
    return Case(split_ending(image)[0], (image,) * count, several_channels_in_one_file=count > 1)


def _numbered(name: str, files: dict[int, Path], channels: tuple[str, ...]) -> Case:
    problems = []
    lacking = [f"{channel} (_{i:04d})" for i, channel in enumerate(channels) if i not in files]
    extra = [str(file) for i, file in sorted(files.items()) if i >= len(channels)]
    if lacking:
        problems.append(
            f"wrong number of channels: no file for {', '.join(lacking)} beside {files[min(files)]}; "
            f"a sequence that was not acquired is left out in a {TABLE_NAME}"
        )
    if extra:
        problems.append(f"wrong number of channels: {', '.join(extra)}, but the model has {len(channels)}")
    return Case(name, tuple(files.get(i) for i in range(len(channels))), problems=tuple(problems))


def _twice(split: tuple[str, int], image: Path, other: Path, count: int) -> Found:
    problem = f"{image} and {other} are both channel _{split[1]:04d}"
    return Found(Case(split[0], (image,) + (None,) * (count - 1), problems=(problem,)), str(image))


def _from_table(table: Table, channels: tuple[str, ...]) -> list[Found]:
    columns = match_channels(table.columns, channels)
    if not any(columns):
        raise InputError(
            f"{table.path}, line 1: no column is named like a channel of the model ({', '.join(channels)}); "
            f"found {', '.join(table.columns)}"
        )
    found = [Found(_from_row(table, row, columns), table.where(row)) for row in table.rows]
    # a line that cannot be read is a case that cannot be predicted
    none = (None,) * len(channels)
    found += [
        Found(Case(f"(line {line})", none, problems=(problem,)), f"{table.path}, line {line}")
        for line, problem in table.malformed.items()
    ]
    return found


def _from_row(table: Table, row: Row, columns: tuple[str | None, ...]) -> Case:
    images = tuple(None if column is None else table.file(row, column) for column in columns)
    named = zip(columns, images, strict=True)
    problems = [text for column, image in named for text in missing(image, table.where(row, column))]
    if not any(images):
        problems.append(f"{table.where(row)}: names no image of the model's channels")
    return Case(table.case_name(row), images, patient=row.cells.get(PATIENT) or None, problems=tuple(problems))
