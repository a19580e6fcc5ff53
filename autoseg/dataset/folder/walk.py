"""Lists the images of a folder and of the folders in it, and what else lies there. No image is opened."""

from __future__ import annotations

from pathlib import Path

from autoseg.dataset.folder.account import LeftOut
from autoseg.dataset.names import is_dicom_folder, split_ending
from autoseg.errors import DatasetError
from autoseg.image.file_kind import why_unreadable

MOST_FILES, DEEPEST = 200_000, 12
"""A folder with more files, or deeper ones, is the top of a disk rather than a data set."""

_PACKED = (".bz2", ".xz", ".zip", ".gz", ".tar", ".tgz", ".7z", ".rar", ".zst")
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_HELD_OUT = ("imagests", "labelsts")


def images_in(folder: Path) -> tuple[list[Path], list[LeftOut]]:
    """List image files and folders of DICOM slices at any depth, sorted by path, and what is not one.

    Hidden files, such as macOS's `._` files, are not looked at. Links to folders are followed, each folder once.

    Args:
        folder: folder to look into.

    Raises:
        DatasetError: it holds too many files, or folders in too many folders.
    """
    images: list[Path] = []
    left_out: list[LeftOut] = []
    seen: set[Path] = set()
    waiting = [(folder, 0)]
    while waiting:
        inside, depth = waiting.pop()
        if (real := inside.resolve()) in seen:
            left_out.append(LeftOut(inside, "a link to a folder that is looked into already"))
            continue
        seen.add(real)
        for entry in sorted(one for one in inside.iterdir() if not one.name.startswith(".")):
            if not entry.is_dir():
                _sort_file(entry, images, left_out)
            elif (why := why_unreadable(entry)) is not None:
                left_out.append(LeftOut(entry, why))
            elif entry.name.lower() in _HELD_OUT:
                left_out.append(LeftOut(entry, "for testing, by its name"))
            elif is_dicom_folder(entry):
                images.append(entry)
            else:
                waiting.append((entry, depth + 1))
        if len(images) + len(left_out) > MOST_FILES or depth > DEEPEST:
            raise DatasetError(
                [
                    f"{folder}: holds more than {MOST_FILES:,} files or folders more than {DEEPEST} deep; "
                    "give the folder of the data set alone, or a cases.csv"
                ]
            )
    return _without_pictures(sorted(images), left_out)


def _sort_file(file: Path, images: list[Path], left_out: list[LeftOut]) -> None:
    name = file.name.lower()
    if split_ending(file)[1]:
        # one that leads nowhere or cannot be opened is told as a problem of its case
        images.append(file)
    elif name.endswith(_PACKED):
        left_out.append(LeftOut(file, "packed in a way that is not read; unpack it"))
    else:
        left_out.append(LeftOut(file, "no image"))


def _without_pictures(images: list[Path], left_out: list[LeftOut]) -> tuple[list[Path], list[LeftOut]]:
    """Leave pictures out where there are volumes: viewers write such previews."""
    pictures = [image for image in images if image.suffix.lower() in _PICTURES]
    if not 0 < len(pictures) < len(images):
        return images, left_out
    among = set(pictures)
    told = [LeftOut(picture, "a picture beside volumes") for picture in pictures]
    return [image for image in images if image not in among], [*left_out, *told]
