"""The account of a folder: what was understood of it, what is used, and what is not and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autoseg.image.walk import LeftOut


@dataclass(frozen=True)
class Entry:
    """An image or a label map, and what its path says of it.

    Args:
        path: file, or folder of DICOM slices.
        case: name of its case.
        sequence: name of its sequence; empty for a label map.
        patient: name of its patient, or of the folder that may be one; None where the path tells none.
        is_label: whether it is a label map.
    """

    path: Path
    case: str
    sequence: str
    patient: str | None
    is_label: bool


@dataclass(frozen=True)
class FoundCase:
    """A case of a folder.

    Args:
        name: name of the case.
        images: image of each sequence that the case has, by the name of the sequence.
        label: its label map; None where the folder holds none at all, as one of images to predict.
        patient: name of its patient; None where the folder tells none.
    """

    name: str
    images: dict[str, Path]
    label: Path | None
    patient: str | None


@dataclass(frozen=True)
class Account:
    """What a folder was understood to be.

    Args:
        folder: folder that was understood; messages name files relative to it.
        kind: what it is, in words, such as "folder of images and folder of labels".
        sequences: names of the sequences, in the order of the channels.
        cases: its cases, by name; where there are label maps, those that have one.
        left_out: what is not used.
        notes: what was decided where the names leave it open, one sentence each.
    """

    folder: Path
    kind: str
    sequences: tuple[str, ...]
    cases: tuple[FoundCase, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...] = ()
