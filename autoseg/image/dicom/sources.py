"""Finds the DICOM files of a folder, or of one series in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import ImageError
from autoseg.image.dicom.choice import Choice, place_and_choice
from autoseg.image.dicom.described import Described, described
from autoseg.image.dicom.frame import Series
from autoseg.image.dicom.series_files import deeper_in, directly_in
from autoseg.image.dicom_file import is_dicom_file
from autoseg.image.file_kind import require_readable
from autoseg.image.walk import LeftOut
from autoseg.names import listed

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
    if choice.series is not None and path.is_dir():
        return Sources(tuple(map(described, _of_series(path, choice))))
    if path.is_dir():
        files, others = _directly_in(path)
        return Sources(tuple(map(described, files)), tuple(others))
    found = described(path)
    if found.series is None:
        found.slices()
    elif choice.series is not None and (found.left_out is not None or not choice.fits_series(found.series)):
        raise _no_slice(path, choice, [] if found.left_out is not None else [found.series])
    return Sources((found,))


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


def _of_series(folder: Path, choice: Choice) -> list[Path]:
    """Files of the chosen series in a folder, or else in the folders inside, where each of its parts may have its own.

    Raises:
        ImageError: there are none, or a file that is too damaged to tell its series may be one of them.
    """
    here = directly_in(folder, _dicom_files)
    if fitting := here.fitting(choice):
        return fitting
    inside = deeper_in(folder)
    if fitting := inside.fitting(choice):
        return fitting
    raise _no_slice(folder, choice, [*here.of_images, *inside.of_images])


def _dicom_files(folder: Path) -> list[Path]:
    return _directly_in(folder)[0]


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


def _no_slice(path: Path, choice: Choice, series: Iterable[Series]) -> ImageError:
    found = list(dict.fromkeys(map(str, series)))
    return ImageError(f"{path}: no slice has {choice}; there are {listed(found, _SHOWN) or 'no series'}")
