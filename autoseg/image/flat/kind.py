"""Tells pictures (PNG, TIFF, JPEG, BMP) by name and content, and gives them a voxel grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from autoseg.image.geometry import STRAIGHT, Geometry

Kind = Literal["PNG", "TIFF", "JPEG", "BMP"]

PICTURE_ENDINGS = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")

LABEL_ENDING = ".png"
"""Ending of the label map that is predicted for a picture."""

COLOURS = ("R", "G", "B")
"""Names of the channels of a picture in colour."""

THICKNESS_MM = 1.0
"""Length in mm of a picture along z, which it does not have: a volume of 1 ml is an area of 1000 mm²."""

_NAMES = (("r", "g", "b"), ("red", "green", "blue"), ("rgb_to_0_1",) * 3)
_STARTS: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    *((start, "TIFF") for start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (b"BM", "BMP"),
)
_ORIGIN = (0.0, 0.0, 0.0)


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its name."""
    return path.name.lower().endswith(PICTURE_ENDINGS)


def are_colours(channels: Sequence[str]) -> bool:
    """Whether channels are called as the colours of a picture: R, G, B or red, green, blue, or nnU-Net's rgb_to_0_1."""
    return tuple(name.casefold() for name in channels) in _NAMES


def kind_of(path: Path) -> Kind | None:
    """Format of a file that has the name of a picture, by its first bytes; None where it is of another format."""
    if not is_picture(path):
        return None
    with path.open("rb") as file:
        begin = file.read(8)
    return next((kind for start, kind in _STARTS if begin.startswith(start)), None)


def grid(height: int, width: int, pixel_mm: tuple[float, float]) -> Geometry:
    """Voxel grid of a picture: one slice along z, rows along y, columns along x.

    Args:
        height: number of pixels along y.
        width: number of pixels along x.
        pixel_mm: distance in mm between rows, and between columns.
    """
    return Geometry((1, height, width), (THICKNESS_MM, *pixel_mm), _ORIGIN, STRAIGHT)


def has_no_place(geometry: Geometry) -> bool:
    """Whether a grid is one that a picture gets, so that it says nothing of a patient's left and right."""
    return geometry.shape[0] == 1 and geometry.origin == _ORIGIN and geometry.direction == STRAIGHT
