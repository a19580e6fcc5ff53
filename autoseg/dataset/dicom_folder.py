"""Lists the DICOM series of a folder, with several processes where it has very many files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from autoseg.image.dicom.tree import DicomTree, FileFacts, read_tree
from autoseg.machine.cores import available_cores
from autoseg.machine.map_cases import map_cases

# so many portions of files take one core about a quarter of a minute, longer than processes take to start
_PORTIONS_FOR_PROCESSES = 60


def dicom_tree(folder: Path) -> DicomTree:
    """List the DICOM series of a folder and of all folders in it.

    Raises:
        ImageError: the folder cannot be read, or holds too many files.
    """
    return read_tree(folder, _apply)


def _apply(
    function: Callable[[Sequence[Path]], list[FileFacts]], portions: Sequence[Sequence[Path]]
) -> Iterable[list[FileFacts]]:
    if len(portions) < _PORTIONS_FOR_PROCESSES:
        return map(function, portions)
    return map_cases(function, portions, available_cores(), "Reading headers", name=lambda files: str(files[0]))
