"""Lists the images of a folder and of the folders in it, and what else lies there. No image is opened."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from autoseg.dataset.names import any_dicom, split_ending
from autoseg.errors import DatasetError
from autoseg.image.dicom_file import DICOM_ENDINGS
from autoseg.image.flat.kind import is_picture
from autoseg.image.walk import DEEPEST, LeftOut, walk

_PACKED = (".bz2", ".xz", ".zip", ".gz", ".tar", ".tgz", ".7z", ".rar", ".zst")
SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods")
_VOXELS = {".raw": (".mhd", ".nhdr"), ".zraw": (".mhd",), ".img": (".hdr",), ".gz": (".nhdr", ".hdr")}
_HELD_OUT = (
    *("imagests", "labelsts", "imagesva", "labelsva"),
    *("test", "testing", "test_set", "testset", "holdout", "hold-out"),
)
_OF_A_RUN = ("fingerprint.json", "splits.json")


def images_in(folder: Path) -> tuple[list[Path], list[LeftOut]]:
    """List image files and folders of DICOM slices at any depth, sorted by path, and what is not one.

    Hidden files, such as macOS's `._` files, are not looked at. Links to folders are followed, each folder once.

    Args:
        folder: folder to look into.

    Raises:
        DatasetError: it holds too many files and folders, or folders in too many folders.
        ImageError: there is no permission to read the folder.
    """
    images: list[Path] = []
    left_out: list[LeftOut] = []
    for found in walk(folder, partial(_too_large, folder), _why_no_data):
        if found.too_deep:
            raise _too_large(folder, f"folders more than {DEEPEST} deep, such as {found.too_deep[0]}")
        if is_slices := found.folder != folder and any_dicom(found.files):
            images.append(found.folder)
        left_out += found.left_out
        for file in found.files:
            if not is_slices or _is_of_another_format(file):
                _sort_file(file, images, left_out)
    return _without_pictures(sorted(images), left_out)


def _too_large(folder: Path, what: str) -> DatasetError:
    return DatasetError([f"{folder}: holds {what}; give the folder of the data set alone, or a cases.csv"])


def _why_no_data(folder: Path) -> str | None:
    """Why a folder is not looked into by what it is called or holds; None where it is."""
    if folder.name.lower() in _HELD_OUT:
        return "for testing or validation, by its name"
    if all((folder / name).is_file() for name in _OF_A_RUN):
        return "a RUN folder"
    return None


def _sort_file(file: Path, images: list[Path], left_out: list[LeftOut]) -> None:
    name = file.name.lower()
    if split_ending(file)[1]:
        # one that leads nowhere or cannot be opened is told as a problem of its case
        images.append(file)
    elif any(file.with_suffix(ending).exists() for ending in _VOXELS.get(file.suffix.lower(), ())):
        # the voxels of a header beside it, which is the image
        return
    elif name.endswith(_PACKED):
        left_out.append(LeftOut(file, "packed in a way that is not read; unpack it"))
    elif name.endswith(SPREADSHEETS):
        left_out.append(LeftOut(file, "a spreadsheet, which is not read; save it as CSV UTF-8 (cases.csv)"))
    else:
        left_out.append(LeftOut(file, "no image"))


def _is_of_another_format(file: Path) -> bool:
    """Whether a file among DICOM slices is none of them by its ending, such as a segmentation beside them."""
    return split_ending(file)[1].lower() not in ("", *DICOM_ENDINGS)


def _without_pictures(images: list[Path], left_out: list[LeftOut]) -> tuple[list[Path], list[LeftOut]]:
    """Leave pictures out where there are volumes: viewers write such previews."""
    pictures = [image for image in images if is_picture(image)]
    if not 0 < len(pictures) < len(images):
        return images, left_out
    among = set(pictures)
    told = [LeftOut(picture, "a picture beside volumes") for picture in pictures]
    return [image for image in images if image not in among], [*left_out, *told]
