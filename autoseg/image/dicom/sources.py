"""Finds the DICOM files of a folder, or of one series in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import ImageError
from autoseg.image.dicom.choice import Choice, place_and_choice
from autoseg.image.dicom.described import Described, described
from autoseg.image.dicom_file import is_dicom_file
from autoseg.image.file_kind import require_readable
from autoseg.image.walk import LeftOut, files_inside

INDEX = "DICOMDIR"
"""Name of the file that lists the files of a folder; it is not needed, since all of them are looked at."""

_SHOWN = 8


@dataclass(frozen=True)
class Sources:
    """The files of an image.

    Args:
        files: DICOM files; where a series is chosen, those of its volumes alone.
        others: what else the folder holds; nothing where a series is chosen, since the rest is not meant then.
    """

    files: tuple[Described, ...]
    others: tuple[LeftOut, ...] = ()


def chosen_files(path: Path, choice: Choice) -> Sources:
    """Find the DICOM files of a path, with their headers.

    Args:
        path: folder or file.
        choice: what is chosen there.

    Raises:
        ImageError: an entry of the folder cannot be read, or no file is of the chosen series.
    """
    if not path.is_dir():
        found = [described(path)]
        others: list[LeftOut] = []
    else:
        files, others = _directly_in(path)
        found = [described(file) for file in files]
    if choice.series is None:
        return Sources(tuple(found), tuple(others))
    fitting = _of_series(found, choice)
    if not fitting and path.is_dir():
        # a series may have a folder for each of its parts
        deeper = (file for file in files_inside(path)[0] if file.parent != path and is_dicom_file(file))
        fitting = _of_series(map(described, deeper), choice, found)
    if not fitting:
        raise ImageError(f"{path}: no slice has {choice}; there are {_series_told(found)}")
    return Sources(tuple(fitting))


def files_of(path: Path) -> list[Path]:
    """The files that an image is read from: one file, all files of a folder, or those of the chosen series in it.

    Args:
        path: folder or file, with or without a choice, such as `scan?series=3`.

    Raises:
        ImageError: in the cases of `chosen_files`, where a series is chosen.
    """
    path, choice = place_and_choice(path)
    if choice.series is not None:
        return [found.file for found in chosen_files(path, choice).files]
    return sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]


def _of_series(files: Iterable[Described], choice: Choice, seen: list[Described] | None = None) -> list[Described]:
    """Files of the chosen series; a file that is too damaged to tell its series may be one of them.

    Raises:
        ImageError: such a file lies among them.
    """
    fitting, unknown = [], []
    for found in files:
        if seen is not None:
            seen.append(found)
        if found.series is None:
            unknown.append(found)
        elif found.left_out is None and choice.fits_series(found.series):
            fitting.append(found)
    folders = {found.file.parent for found in fitting}
    for found in unknown:
        if not fitting or found.file.parent in folders:
            found.slices()
    return fitting


def _directly_in(folder: Path) -> tuple[list[Path], list[LeftOut]]:
    """DICOM files of a folder, and what else it holds.

    Raises:
        ImageError: an entry cannot be read.
    """
    files: list[Path] = []
    others: list[LeftOut] = []
    for entry in sorted(folder.iterdir()):
        # a named pipe, or a link that leads nowhere, is an error even where its name is hidden
        require_readable(entry)
        if entry.name.startswith(".") or entry.name.upper() == INDEX:
            continue
        if entry.is_dir():
            others.append(LeftOut(entry, "a folder"))
        elif is_dicom_file(entry):
            files.append(entry)
        else:
            others.append(LeftOut(entry, "no DICOM file"))
    return files, others


def _series_told(files: Iterable[Described]) -> str:
    """The series of files, for a message."""
    found = dict.fromkeys(str(file.series) for file in files if file.series is not None and file.left_out is None)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(list(found)[:_SHOWN]) + more if found else "no series"
