"""What the path of an image, below the folder of the data set, says: its place, its name, sequence and role."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autoseg.dataset.folder.words import IMAGE_FOLDERS, LABEL_FOLDERS, split_name
from autoseg.dataset.names import split_ending
from autoseg.image.text_headers import SEGMENTATION_ENDING


@dataclass(frozen=True)
class Part:
    """An image or label map as its path shows it.

    Args:
        path: file, or folder of DICOM slices.
        folders: names of the folders that hold it, without those that tell its role or sequence.
        rest: its name without ending, sequence and mark of a label map.
        sequence: known sequence in its path; empty where there is none.
        is_label: whether its path marks it as a label map.
        perhaps_label: word of its path that makes it perhaps a label map, where it is not marked as one.
    """

    path: Path
    folders: tuple[str, ...]
    rest: str
    sequence: str
    is_label: bool
    perhaps_label: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """Folders and name, in lower case, by which an image finds its label map."""
        return tuple(text.casefold() for text in (*self.folders, self.rest) if text)


def parts_of(folder: Path, images: Sequence[Path]) -> list[Part]:
    """Return the part of each image below a folder, without the folders that hold all of them."""
    parts = [_part(folder, image) for image in images]
    while len({part.folders[:1] for part in parts}) == 1 and all(len(part.folders) > 1 for part in parts):
        parts = [replace(part, folders=part.folders[1:]) for part in parts]
    return parts


def _part(folder: Path, image: Path) -> Part:
    *above, last = image.relative_to(folder).parts
    kept: list[str] = []
    sequence, is_label, perhaps = "", False, ""
    for text in above:
        text = unicodedata.normalize("NFC", text)
        if text.lower() in LABEL_FOLDERS:
            is_label = True
        elif text.lower() not in IMAGE_FOLDERS:
            name = split_name(text)
            perhaps = perhaps or name.perhaps_label or (text if name.is_label else "")
            if name.rest or not name.sequence:
                kept.append(text)
            else:
                sequence = name.sequence
    # a folder of slices has no ending
    stem, ending = (last, "") if image.is_dir() else split_ending(image)
    name = split_name(stem)
    is_label = is_label or name.is_label or ending.lower() == SEGMENTATION_ENDING
    rest, sequence = name.rest, name.sequence or sequence
    if not rest and not kept:
        # T1.nii.gz in the folder itself is a case rather than a sequence
        rest, sequence = name.sequence, ""
    return Part(image, tuple(kept), rest, sequence, is_label, "" if is_label else perhaps or name.perhaps_label)
