"""Data sets of pictures (PNG, TIFF, JPEG, BMP): their colours become channels, and their pixels get one rule of size.

A picture in colour is one file of three channels, R, G and B. The size of its pixels is what a person gives with
--spacing, what every file states, or 1 mm; which of them holds is the same for a whole data set and for new images.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from autoseg.dataset.case import Case, Dataset
from autoseg.dataset.findings import Findings
from autoseg.errors import ImageError
from autoseg.image.file_kind import why_unreadable
from autoseg.image.flat.kind import COLOURS, is_picture
from autoseg.image.flat.resolution import PixelSpacing
from autoseg.image.image import Image, read_geometry

_MOST_COLOUR = 255
_SHOWN = 2


def with_colours(dataset: Dataset) -> Dataset:
    """Give a data set of one sequence the channels R, G and B, where its files are pictures in colour.

    The headers of the files are read. A grey picture among those in colour is read as three equal colours.
    """
    files = [image for case in dataset.cases for image in case.images if image is not None]
    if len(dataset.channels) != 1 or not files or not all(map(is_picture, files)):
        return dataset
    in_colour = [file for file in files if _is_in_colour(file)]
    if not in_colour:
        return dataset
    cases = tuple(
        replace(case, images=case.images * 3, several_channels_in_one_file=True, colours=True) for case in dataset.cases
    )
    return replace(dataset, channels=COLOURS, ct=(False,) * 3, cases=cases)


def _is_in_colour(file: Path) -> bool:
    # a file that cannot be read is told by the check
    with suppress(ImageError):
        return why_unreadable(file) is None and read_geometry(file)[1] == len(COLOURS)
    return False


def sized(dataset: Dataset, pixel_spacing: PixelSpacing | None) -> Dataset:
    """The data set whose pictures are read with a spacing (y, x) in mm; None = each as its file states."""
    cases = tuple(replace(case, pixel_spacing=pixel_spacing) for case in dataset.cases)
    return replace(dataset, cases=cases, pixel_spacing=pixel_spacing)


def fitted(case: Case, path: Path, image: Image, findings: Findings) -> Image | None:
    """Bring the colours of a picture to the channels of its case; other images are returned as they are.

    Args:
        case: the case, which says whether its channels are colours.
        path: path of the file.
        image: the file's image (channel, 1, y, x).
        findings: list to which problems are added, and what was done.

    Returns:
        None where problems were added.
    """
    if not image.sized_by:
        return image
    held = len(image.array)
    if case.colours and held == 1:
        if (highest := float(image.array.max())) > _MOST_COLOUR:
            findings.problem(
                f"{path}: is grey with values up to {highest:g}, and colours have 0 to {_MOST_COLOUR}; save it as "
                "8-bit RGB"
            )
            return None
        findings.did(path, "it is grey, and is read as three equal colours")
        return replace(image, array=np.repeat(image.array, len(COLOURS), axis=0))
    if held == 1 or case.colours:
        return image
    if not case.several_channels_in_one_file and all(np.array_equal(image.array[0], one) for one in image.array[1:]):
        findings.did(path, "its three colours are equal everywhere, and one of them is read")
        return replace(image, array=image.array[:1])
    expected = "the channels are sequences" if case.several_channels_in_one_file else "one grey channel is expected"
    findings.problem(
        f"{path}: is in colour, and {expected}; save it in grey, or learn from pictures in colour, whose channels are "
        f"called {', '.join(COLOURS)}"
    )
    return None


def sizes_differ(sources: Sequence[tuple[str, str]]) -> list[str]:
    """Problems of a data set whose pixels get their size by several rules.

    Args:
        sources: name of each case, and where the size of its pixels comes from (`Image.sized_by`).
    """
    by_source: dict[str, list[str]] = {}
    for name, source in sources:
        by_source.setdefault(source, []).append(name)
    if "" in by_source and len(by_source) > 1:
        volumes = by_source[""]
        pictures = [name for source, names in by_source.items() if source for name in names]
        return [
            f"{_some(pictures)} {_number(pictures, 'is a picture', 'are pictures')} (PNG, TIFF, JPEG, BMP); "
            f"{_some(volumes)} {_number(volumes, 'is an image', 'are images')} with a place in a patient: make two "
            "data sets of them, or save all as NIfTI with their spacing"
        ]
    if {"stated", "assumed"} <= set(by_source):
        stated, others = by_source["stated"], by_source["assumed"]
        return [
            f"{_number(stated, 'picture', 'pictures')} {_some(stated)} "
            f"{_number(stated, 'states the size of its', 'state the size of their')} pixels; {_some(others)} "
            f"{_number(others, 'does', 'do')} not. Give it for all with --spacing (in mm; --spacing 1 where it is not "
            "known)"
        ]
    return []


def _number(names: Sequence[str], one: str, several: str) -> str:
    return one if len(names) == 1 else several


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def told_together(done: Sequence[tuple[Path, str]]) -> list[str]:
    """One sentence for each thing that was done with pictures, which names the first of them."""
    by_text: dict[str, list[Path]] = {}
    for path, text in done:
        by_text.setdefault(text, []).append(path)
    return [f"{_some([str(path) for path in dict.fromkeys(paths)])}: {text}" for text, paths in by_text.items()]
