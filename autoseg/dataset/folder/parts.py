"""What the path of an image, below the folder of the data set, says: its place, its name, sequence and role."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
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
    """

    path: Path
    folders: tuple[str, ...]
    rest: str
    sequence: str
    is_label: bool

    @property
    def key(self) -> tuple[str, ...]:
        """Folders and name, in lower case, by which an image finds its label map."""
        return tuple(text.casefold() for text in (*self.folders, self.rest) if text)


def parts_of(folder: Path, images: Sequence[Path]) -> list[Part]:
    """Return the part of each image below a folder."""
    return [_part(folder, image) for image in images]


def _part(folder: Path, image: Path) -> Part:
    *above, last = image.relative_to(folder).parts
    kept: list[str] = []
    sequence, is_label = "", False
    for text in above:
        text = unicodedata.normalize("NFC", text)
        if text.lower() in LABEL_FOLDERS:
            is_label = True
        elif text.lower() not in IMAGE_FOLDERS:
            name = split_name(text)
            if name.rest or not name.sequence:
                kept.append(text)
            else:
                sequence = name.sequence
    # a folder of slices has no ending
    stem, ending = (last, "") if image.is_dir() else split_ending(image)
    name = split_name(stem)
    # the sequence that a label map was drawn on is not its own
    return Part(
        image,
        tuple(kept),
        name.rest,
        name.sequence or sequence,
        is_label or name.is_label or ending.lower() == SEGMENTATION_ENDING,
    )
