"""Names the files of predictions, and refuses to overwrite what was given."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from autoseg.dataset.case import Case
from autoseg.errors import InputError
from autoseg.image.file_kind import why_unreadable
from autoseg.image.flat.kind import LABEL_ENDING, is_picture
from autoseg.image.path_choice import split_choice
from autoseg.image.writing.own_dicom import is_foreign_dicom

# Formats with header and voxels in one file, so that a label map can be written under another name and renamed.
SINGLE_FILE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
# Formats with header and voxels in two files, and the format in which their label maps are written instead.
_INSTEAD = {".mhd": ".mha", ".nhdr": ".nrrd"}
DEFAULT_ENDING = ".nii.gz"
PREVIEW = "preview"
PNG_SOFTWARE = "autoseg"
PNG_MARK = f"tEXtSoftware\0{PNG_SOFTWARE}".encode("latin-1")
"""Bytes of a preview that tell that autoseg made it: a chunk of text before the picture."""

_PNG_START = 1024


def output_files(
    cases: Sequence[Case], output: Path, endings: Callable[[Case], Sequence[str]] | None = None
) -> tuple[Path, ...]:
    """File of each case's prediction in the folder `output`.

    Args:
        cases: cases that will be predicted.
        output: folder for the predictions.
        endings: what follows a case's name in its files, of which the first is the prediction; None = the ending of a
            label map in its image's format.

    Raises:
        InputError: there is no case, or two cases have the same name.
    """
    if not cases:
        raise InputError("no image to predict was found")
    of_case = endings or (lambda case: (output_ending(case),))
    files = [[output / f"{case.name}{ending}" for ending in of_case(case)] for case in cases]
    twice = _twice(case.name for case in cases) or _twice(file.name for of_one in files for file in of_one)
    if twice:
        raise InputError(f"{', '.join(twice)}: several inputs have this name; predict them into separate folders")
    return tuple(of_one[0] for of_one in files)


def _twice(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def refuse_overwriting(cases: Sequence[Case], targets: Sequence[Path]) -> None:
    """Refuse to write files that are inputs, or that are DICOM files in the folder of an input.

    Segmentations and reports that autoseg wrote there before are replaced.

    Raises:
        InputError: one of `targets` is an image of one of the cases, or may be a slice of one.
    """
    images = {image for case in cases for image in case.images if image is not None}
    real = _RealPaths()
    inputs = {real.of(path) for image in images for path in {image, split_choice(image)[0]}}
    within: dict[str, bool] = {}
    for target in targets:
        path = real.of(target)
        folder = path.rpartition(os.sep)[0]
        if folder not in within:
            within[folder] = not inputs.isdisjoint(map(str, Path(path).parents))
        if path in inputs or (within[folder] and is_foreign_dicom(target)):
            raise InputError(f"{target}: is an input and would be overwritten; choose another output folder")


class _RealPaths:
    """Whole paths without links. Each folder is looked at once: a hundred thousand files lie in a few of them."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def of(self, path: Path) -> str:
        """Whole path of a file without links, of which none needs to exist."""
        folder, name = os.path.split(path)
        # `Path.resolve` fails at a loop of links, which is told when its case is read
        if name in ("", os.curdir, os.pardir) or _is_link(path):
            return os.path.realpath(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return f"{self._folders[folder].rstrip(os.sep)}{os.sep}{name}"


def _is_link(path: Path) -> bool:
    # a name that is too long is told when its file is opened
    with suppress(OSError):
        return path.is_symlink()
    return False


def require_places(targets: Sequence[Path], output: Path) -> None:
    """Refuse to write where something else than a folder, or a picture that autoseg did not make, stands.

    Args:
        targets: files beside the predictions, in folders of `output`.
        output: folder of the predictions.

    Raises:
        InputError: it stands there.
    """
    for folder in dict.fromkeys(above for target in targets for above in target.parents if output in above.parents):
        if os.path.lexists(folder) and not folder.is_dir():
            raise InputError(f"{folder}: is no folder, and files are to be written into it; move it away")
    for target in targets:
        if target.suffix.lower() == ".png" and target.parent.name == PREVIEW and not _may_replace(target):
            raise InputError(f"{target}: is no preview by autoseg; move it away, it is not replaced")


def _may_replace(preview: Path) -> bool:
    if not os.path.lexists(preview):
        return True
    if why_unreadable(preview) is not None or preview.is_dir():
        return False
    with preview.open("rb") as file:
        return PNG_MARK in file.read(_PNG_START)


def image_of(case: Case) -> str:
    """Whole path of a case's first image, by which its prediction is known; empty where it has none."""
    image = case.first_image
    return "" if image is None else os.fspath(image if image.is_absolute() else Path.cwd() / image)


def output_ending(case: Case) -> str:
    """File ending of a case's label map: that of its first image, `.png` for pictures, `.nii.gz` for others."""
    image = case.first_image
    if image is None:
        return DEFAULT_ENDING
    image, chosen = split_choice(image)
    if chosen or image.is_dir():
        return DEFAULT_ENDING
    if is_picture(image):
        return LABEL_ENDING
    name = image.name.lower()
    for ending in SINGLE_FILE_ENDINGS:
        if name.endswith(ending):
            return ending
    return _INSTEAD.get(image.suffix.lower(), DEFAULT_ENDING)
