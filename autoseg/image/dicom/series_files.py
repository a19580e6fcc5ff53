"""Which files of a folder belong to which DICOM series, found once for all series that are chosen there.

A table may name two hundred series of one folder of ten thousand files. Each of them needs the series of every file.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from autoseg.errors import ImageError
from autoseg.image.dicom.choice import Choice
from autoseg.image.dicom.described import described
from autoseg.image.dicom.frame import Series
from autoseg.image.dicom_file import is_dicom_file
from autoseg.image.walk import files_inside, walk

_REMEMBERED_FOLDERS = 4
"""The series of the files of so many folders are remembered; 10,000 files take some four megabytes."""

Facts = tuple[tuple[str, tuple[int, ...] | None], ...]
"""Path of each file, and what changes when its content or its permissions do; None where that cannot be told."""


@dataclass(frozen=True)
class SeriesFiles:
    """The DICOM files of a folder by series.

    Args:
        of_images: files of each series that are images of slices, or too damaged to be read as such.
        unknown: files that are too damaged to tell their series.
    """

    of_images: Mapping[Series, tuple[Path, ...]]
    unknown: tuple[Path, ...]

    def fitting(self, choice: Choice) -> list[Path]:
        """Files of the series that are chosen, sorted.

        Raises:
            ImageError: a file that is too damaged to tell its series lies among them, and may be one of them.
        """
        found = [file for series, files in self.of_images.items() if choice.fits_series(series) for file in files]
        folders = {file.parent for file in found}
        for file in self.unknown:
            again = described(file)
            if again.series is None and (not found or file.parent in folders):
                again.slices()
            elif again.series is not None and again.left_out is None and choice.fits_series(again.series):
                # it can be read by now
                found.append(file)
        return sorted(found)


def directly_in(folder: Path, list_files: Callable[[Path], Iterable[Path]]) -> SeriesFiles:
    """The series of the files that lie in a folder itself.

    Args:
        folder: folder of DICOM files.
        list_files: lists its DICOM files; it is called where an entry has changed since the last call.

    Raises:
        ImageError: in the cases of `list_files`.
    """
    # entries know their names as text, which is faster than paths
    with os.scandir(folder) as entries:
        facts = tuple(sorted((entry.name, _facts_of(entry)) for entry in entries))
    return _of_folder(folder, list_files, facts)


def deeper_in(folder: Path) -> SeriesFiles:
    """The series of the files in the folders inside of a folder, at any depth.

    Raises:
        ImageError: the folder cannot be read, or holds too many files.
    """
    too_large = ImageError(f"{folder}: holds too many files and folders; give the folder of the images")
    inside = walk(folder, lambda _: too_large)
    facts = tuple((str(file), _facts_of(file)) for found in inside for file in found.files)
    return _of_folder(folder, _dicom_inside, facts)


def _dicom_inside(folder: Path) -> list[Path]:
    return [file for file in files_inside(folder)[0] if file.parent != folder and is_dicom_file(file)]


def _facts_of(file: os.DirEntry[str] | Path) -> tuple[int, ...] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@lru_cache(_REMEMBERED_FOLDERS)
def _of_folder(folder: Path, list_files: Callable[[Path], Iterable[Path]], facts: Facts) -> SeriesFiles:
    """The series of files as long as their facts are these; a time of change, which nobody can set, is among them."""
    of_images: defaultdict[Series, list[Path]] = defaultdict(list)
    unknown = []
    for file in list_files(folder):
        found = described(file)
        if found.series is None:
            unknown.append(file)
        elif found.left_out is None:
            of_images[found.series].append(file)
    return SeriesFiles({series: tuple(files) for series, files in of_images.items()}, tuple(unknown))
