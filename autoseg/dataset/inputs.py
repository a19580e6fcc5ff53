"""Lists the images to predict (a folder, files, DICOM folders or a `cases.csv`) and groups them into cases.

Only names are read. A case with a problem carries it along: reading that case raises it, and the others go on.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.dataset.case import Case
from autoseg.dataset.csv_rows import PATIENT, CsvTable, Row, read_table
from autoseg.dataset.listing import Found, checked_cases, missing
from autoseg.dataset.names import entries, is_dicom_folder, may_be_dicom, split_channel, split_ending
from autoseg.dataset.read import TABLE_NAME
from autoseg.dataset.table import match_channels
from autoseg.errors import InputError
from autoseg.image.dicom_file import is_dicom_file
from autoseg.image.file_kind import why_unreadable
from autoseg.image.text_headers import SEGMENTATION_ENDING

# previews that viewers write beside slices; the reading of the slices names them as left out
_PICTURES = (".png", ".jpg", ".bmp", ".tif", ".tiff")
_FOLDERS_LOOKED_INTO = 1000


@dataclass(frozen=True)
class _Channels:
    """Channels of the model.

    Args:
        names: names of all channels.
        used: for each channel whether its file is read.
        needed: for each channel whether its file must exist where file names number the channels.
    """

    names: tuple[str, ...]
    used: tuple[bool, ...]
    needed: tuple[bool, ...]


def read_inputs(
    paths: Sequence[Path],
    channels: tuple[str, ...],
    *,
    sequences: Sequence[str] | None = None,
    needed: Sequence[str] | None = None,
) -> tuple[Case, ...]:
    """List the cases in one or several paths.

    Files with names in nnU-Net's convention, `CASE_0000.nii.gz`, are grouped into cases if all files have such
    names, or if the model has several channels. Any other file is a case of its own (with several
    channels, a 4D file). The columns of a `cases.csv` are matched to the channels by name; a missing column
    or an empty cell means that the sequence was not acquired.

    Args:
        paths: folders, image files, folders of DICOM slices and tables, in any mixture.
        channels: names of the model's channels.
        sequences: names of the channels that are used; the others are treated as not acquired, and their
            files need not exist. A file that is a case of its own holds all channels, or only these.
            None = all.
        needed: names of those of `sequences` whose files must exist where file names number the channels;
            None = all of them.

    Raises:
        InputError: a path holds nothing to predict, or there is no case.
        DatasetError: a table is malformed.
    """
    used = tuple(sequences is None or name in sequences for name in channels)
    must = tuple(there and (needed is None or name in needed) for name, there in zip(channels, used, strict=True))
    model = _Channels(channels, used, must)
    found: list[Found] = []
    images: list[Path] = []
    for path in dict.fromkeys(Path(path) for path in paths):
        table = path / TABLE_NAME if path.is_dir() else path
        if table.suffix.lower() == ".csv" and table.is_file():
            found += _from_table(read_table(table), model)
        else:
            images += _images(path)
    found += _from_names(list(dict.fromkeys(images)), model)
    if not found:
        raise InputError(f"{', '.join(map(str, paths))}: holds no image to predict")
    return checked_cases(found, training=False)


def _images(path: Path) -> list[Path]:
    """Image files and folders of DICOM slices in a path.

    The DICOM files of a folder are one image; image files and folders of DICOM slices beside them are others.
    """
    if (why := why_unreadable(path)) is not None:
        # one missing file in a list is a problem of its case only
        if split_ending(path)[1]:
            return [path]
        raise InputError(f"{path}: {why}")
    if path.is_file():
        return [path]
    inside = [entry for entry in entries(path) if entry.is_dir() or split_ending(entry)[1]]
    # what is no file, such as a link that leads nowhere, is told when its case is read
    images = [entry for entry in inside if not entry.is_dir() or is_dicom_folder(entry)]
    if is_dicom_folder(path):
        # the files without endings of a folder of slices are slices too
        slices = [entry for entry in entries(path) if entry.is_file() and may_be_dicom(entry) and is_dicom_file(entry)]
        held = set(slices)
        beside = [entry for entry in images if entry not in held and entry.suffix.lower() not in _PICTURES]
        images = [slices[0] if len(slices) == 1 and beside else path, *beside]
    if not images:
        raise InputError(f"{path}: holds no image, no folder of DICOM slices and no {TABLE_NAME}{_deeper(path)}")
    return images


def _deeper(path: Path) -> str:
    """Where DICOM slices lie that are further inside of a folder, as the end of a sentence; empty where none do."""
    for number, (folder, _, _) in enumerate(os.walk(path)):
        if number and is_dicom_folder(Path(folder)):
            return f"; DICOM slices lie further inside, such as in {folder}: give the folders of the series"
        if number >= _FOLDERS_LOOKED_INTO:
            break
    return ""


def _from_names(images: Sequence[Path], channels: _Channels) -> list[Found]:
    """Group image files into cases by their names."""
    count, first = len(channels.names), channels.needed.index(True)
    splits = {image: split_channel(split_ending(image)[0]) for image in images}
    numbers = {split[1] for split in splits.values() if split is not None}
    # with one channel, or without any file of the first needed channel, the numbers in CASE_0001, CASE_0002 … count
    # cases, not channels
    numbers_are_channels = first in numbers and (count > 1 or (None not in splits.values() and numbers == {0}))
    grouped: dict[str, dict[int, Path]] = {}
    found = []
    for image, split in splits.items():
        if numbers_are_channels and split is not None:
            files = grouped.setdefault(split[0], {})
            if split[1] in files:
                found.append(_twice(split, image, files[split[1]], count))
            files[split[1]] = image
        else:
            found.append(Found(_whole(image, channels.used), str(image)))
    found += [Found(_numbered(name, files, channels), str(files[min(files)])) for name, files in grouped.items()]
    return found


def _whole(image: Path, used: tuple[bool, ...]) -> Case:
    images = tuple(image if there else None for there in used)
    if split_ending(image)[1].lower() == SEGMENTATION_ENDING:
        # the image beside it has the same name; reading says what it is
        return Case(image.name, images)
    return Case(split_ending(image)[0], images, several_channels_in_one_file=len(used) > 1)


def _numbered(name: str, files: dict[int, Path], channels: _Channels) -> Case:
    problems = []
    must = zip(channels.names, channels.needed, strict=True)
    lacking = [f"{name} (_{i:04d})" for i, (name, needed) in enumerate(must) if needed and i not in files]
    extra = [str(file) for i, file in sorted(files.items()) if i >= len(channels.names)]
    if lacking:
        problems.append(
            f"wrong number of channels: no file for {', '.join(lacking)} beside {files[min(files)]}; "
            f"a sequence that was not acquired is left out in a {TABLE_NAME}, or by --sequences"
        )
    if extra:
        problems.append(f"wrong number of channels: {', '.join(extra)}, but the model has {len(channels.names)}")
    images = tuple(files.get(i) if there else None for i, there in enumerate(channels.used))
    return Case(name, images, problems=tuple(problems))


def _twice(split: tuple[str, int], image: Path, other: Path, count: int) -> Found:
    problem = f"{image} and {other} are both channel _{split[1]:04d}"
    return Found(Case(split[0], (image,) + (None,) * (count - 1), problems=(problem,)), str(image))


def _from_table(table: CsvTable, channels: _Channels) -> list[Found]:
    matched = match_channels(table.columns, channels.names)
    columns = tuple(column if there else None for column, there in zip(matched, channels.used, strict=True))
    if not any(columns):
        wanted = ", ".join(name for name, there in zip(channels.names, channels.used, strict=True) if there)
        raise InputError(
            f"{table.path}, line 1: no column is named like a channel of the model ({wanted}); "
            f"found {', '.join(table.columns)}"
        )
    found = [Found(_from_row(table, row, columns), table.where(row)) for row in table.rows]
    # a malformed line becomes a case that cannot be predicted
    none = (None,) * len(channels.names)
    found += [
        Found(Case(f"(line {line})", none, problems=(problem,)), f"{table.path}, line {line}")
        for line, problem in table.malformed.items()
    ]
    return found


def _from_row(table: CsvTable, row: Row, columns: tuple[str | None, ...]) -> Case:
    images = tuple(None if column is None else table.file(row, column) for column in columns)
    named = zip(columns, images, strict=True)
    problems = [text for column, image in named for text in missing(image, table.where(row, column))]
    if not any(images):
        problems.append(f"{table.where(row)}: names no image of the model's channels")
    return Case(table.case_name(row), images, patient=table.text(row, PATIENT) or None, problems=tuple(problems))
