"""Finds the images to predict in a folder, and says of everything else in it why it is not predicted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autoseg.dataset.dicom_folder import dicom_tree
from autoseg.dataset.folder.beside import masks_beside_images
from autoseg.dataset.names import split_ending
from autoseg.dataset.series_names import SeriesName, name_of
from autoseg.errors import InputError
from autoseg.image.dicom.choice import Choice, place_and_choice
from autoseg.image.dicom.tree import SCOUT_BY_DESCRIPTION, DicomTree, FoundSeries
from autoseg.image.file_kind import why_unreadable
from autoseg.image.flat.kind import is_picture
from autoseg.image.text_headers import SEGMENTATION_ENDING
from autoseg.image.walk import LeftOut, told_by_reason
from autoseg.names import listed, nfc

_PACKED = (".bz2", ".xz", ".zip", ".gz", ".tar", ".tgz", ".7z", ".rar", ".zst")
_SHOWN = 8
_SEGMENTATION = "a segmentation of 3D Slicer, which is read as a label alone"
_INSIDE = "in a folder inside, where label maps may lie too; to predict it, give its folder"
_MASK = "by its name the label map of the image beside it; to predict it, give the file"


@dataclass(frozen=True)
class InputImage:
    """An image to predict.

    Args:
        path: its file or folder, with what is chosen there.
        name: its name, which for a series of DICOM may become longer where others have it too.
        may_be_channel: whether a number at the end of its name may be that of a channel.
    """

    path: Path
    name: str | SeriesName
    may_be_channel: bool = True


@dataclass(frozen=True)
class InputFolder:
    """The images of a folder.

    Args:
        images: images to predict, each a file or a DICOM series, with its name.
        told: what was understood and what is left out, one sentence each.
    """

    images: tuple[InputImage, ...]
    told: tuple[str, ...]


def images_of_folder(folder: Path, choice: Choice, *, by_patient: bool) -> InputFolder:
    """Find the image files of a folder, and the DICOM series in it at any depth.

    Image files in folders inside are left out: label maps often lie beside images.

    Args:
        folder: folder that can be read.
        choice: which series are meant, and which volume of each.
        by_patient: begin the names of DICOM series with the patient's id.

    Raises:
        InputError: it holds no image, or no series that is chosen.
        ImageError: it holds too many files.
    """
    tree = dicom_tree(folder)
    series = [found for found in tree.series if choice.fits_series(found.about)]
    if choice.series is not None and not series:
        there = listed(list(dict.fromkeys(str(found.about) for found in tree.series)), _SHOWN) or "none"
        raise InputError(f"{folder}: no DICOM series in it has {choice}; there are {there}")
    files = [] if choice.series is not None else _image_files(tree)
    images = [_image(found, folder, files, choice, by_patient=by_patient) for found in series]
    images += [InputImage(file, image_name(file)) for file in files]
    held = {found.folder for found in tree.series}
    if choice.series is None:
        # an image that fails is noticed; a scan that is left out for a damaged file might not be
        broken = [one.file for one in tree.damaged if one.file.parent not in held]
        images += [InputImage(file, image_name(file)) for file in broken]
    used = {image.path for image in images}
    left_out = [] if choice.series is not None else _left_out(tree, used, masks_beside_images([*used, *tree.others]))
    sentences = told_by_reason(folder, left_out)
    if not images:
        way = ""
        if any(one.why == _INSIDE for one in left_out):
            way = f"; or write a table of the folders: autoseg table {folder} -o cases.csv"
        elif any(one.why.startswith(SCOUT_BY_DESCRIPTION) for one in left_out):
            way = "; to predict one all the same, name its folder in a cases.csv"
        raise InputError(
            f"{folder}: holds no image, no DICOM series and no cases.csv"
            + "".join(f"; {one}" for one in sentences)
            + way
        )
    told = [*_series_told(folder, series, tree), *(f"{folder}: left out {one}" for one in sentences)]
    return InputFolder(tuple(images), tuple(told))


def image_name(image: Path) -> str:
    """Name of an image file or folder without its ending, in one Unicode form."""
    stem, _ = split_ending(image)
    # the image beside a segmentation has the same stem; reading says what it is
    name = (image.name if _is_segmentation(image) else stem) or image.absolute().resolve().name
    return nfc(name)


def _image_files(tree: DicomTree) -> list[Path]:
    """Image files that lie directly in the folder, and broken ones, which are told when their case is read."""
    # pictures beside slices are previews that viewers write
    slices_here = any(found.folder == tree.folder for found in tree.series)
    unreadable = [one.file for one in tree.left_out if why_unreadable(one.file) is not None]
    here = [file for file in (*tree.others, *unreadable) if file.parent == tree.folder and split_ending(file)[1]]
    here = [file for file in here if not _is_segmentation(file)]
    masks = masks_beside_images(here)
    return sorted(file for file in here if file not in masks and not (slices_here and is_picture(file)))


def _image(found: FoundSeries, folder: Path, files: Sequence[Path], choice: Choice, *, by_patient: bool) -> InputImage:
    # read as a whole, a folder of slices would tell that the image files beside them are not read
    path = found.path_by_series if found.folder == folder and files else found.path
    place, own = place_and_choice(path)
    path = replace(choice, series=own.series).of(place)
    near = path == place and (place == folder or place.parent == folder)
    return InputImage(path, name_of(found, path, folder, by_patient=by_patient), near)


def _left_out(tree: DicomTree, used: set[Path], masks: Collection[Path]) -> list[LeftOut]:
    """What is not predicted, but for what the reading of a folder as a whole tells."""
    wholes = {path for path in used if path.is_dir()}
    found = [one for one in tree.left_out if one.file not in used]
    for file in tree.others:
        if file not in used:
            found.append(
                LeftOut(file, _MASK if file in masks and file.parent == tree.folder else _why_not(file, tree.folder))
            )
    return [one for one in found if one.file.parent not in wholes]


def _is_segmentation(file: Path) -> bool:
    return file.name.lower().endswith(SEGMENTATION_ENDING)


def _why_not(file: Path, folder: Path) -> str:
    if _is_segmentation(file):
        return _SEGMENTATION
    if split_ending(file)[1] and file.parent != folder:
        return _INSIDE
    if split_ending(file)[1]:
        return "a picture beside DICOM slices; to predict it, give the file"
    if file.suffix.lower() in _PACKED:
        return "packed in a way that is not read; unpack it"
    return "no image"


def _series_told(folder: Path, series: Sequence[FoundSeries], tree: DicomTree) -> list[str]:
    if len(series) < 2:
        return []
    patients, studies = {found.patient for found in series}, {found.about.study for found in series}
    return [
        f"{folder}: {len(series)} DICOM series (patients: {len(patients)}, studies: {len(studies)}); each is predicted "
        "as an image of its own",
        *tree.notes,
    ]
