"""Finds label maps that lie beside their images by the names alone, as `a_seg.nii.gz` beside `a.nii.gz`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from autoseg.dataset.folder.words import split_name
from autoseg.dataset.names import split_ending


def masks_beside_images(files: Iterable[Path]) -> dict[Path, Path]:
    """Return the files that are label maps by their names, each with the image that it lies beside.

    Args:
        files: image files and label maps of one folder; no file is opened.
    """
    names = {file: split_name(split_ending(file)[0]) for file in files}
    images = {(name.rest, name.sequence): file for file, name in names.items() if not name.is_label}
    labels = {file: (name.rest, name.sequence) for file, name in names.items() if name.is_label}
    return {file: images[key] for file, key in labels.items() if key in images}
