"""Finds the classes of a data set that declares none, by the values in its label files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autoseg.dataset.dataset_json import FILE_NAME, labels_of
from autoseg.dataset.voxels import count_values
from autoseg.errors import DatasetError, ImageError
from autoseg.image.file_kind import why_unreadable
from autoseg.image.image import read_label
from autoseg.image.labels import Labels
from autoseg.machine.map_cases import map_cases, workers_within_memory

# bytes of memory that it takes to count the values of a label file, for each byte of the file
_MEMORY_PER_FILE_BYTE = 400
# a whole number as large as this is damage, which the check tells as a value that is not declared
_NO_CLASS = 2**31


def labels_found(files: Sequence[Path], source: Path) -> Labels:
    """Return the labels that the values in label files give; unreadable files and fractional values are told later.

    Args:
        files: files of the label maps.
        source: table or folder that lists them, for messages.

    Raises:
        DatasetError: no file holds a value beside 0.
    """
    largest = max((file.stat().st_size for file in files if why_unreadable(file) is None), default=0)
    workers = workers_within_memory(_MEMORY_PER_FILE_BYTE * largest) if len(files) > 50 else 1
    values = {0}.union(*map_cases(_values_in, files, workers, "Values of the labels"))
    if len(values) < 2:
        raise DatasetError(
            [
                f"{source}: no label file holds a value beside 0; "
                f"declare the labels in a {FILE_NAME} there, or check the label files"
            ]
        )
    ordered = [0, *sorted(values - {0})]
    return labels_of({"background" if value == 0 else f"label {value}": value for value in ordered}, source)


def _values_in(file: Path) -> set[int]:
    try:
        values = count_values(read_label(file).array)
    except ImageError:
        return set()
    return {int(value) for value in values if value.is_integer() and abs(value) < _NO_CLASS}
