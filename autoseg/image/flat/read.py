"""Reads pictures (PNG, TIFF, JPEG, BMP). In: a file. Out: pixels (channel, 1, y, x), their grid, and what was done.

A picture has no place in a patient: its rows lie along y and its columns along x, as it is seen. The size of its pixels
is what a person gives, else what the file states, else 1 mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from numpy.typing import NDArray

from autoseg.errors import ImageError
from autoseg.image.flat.kind import grid, kind_of
from autoseg.image.flat.opened import Opened, opened, require_intact
from autoseg.image.flat.pixels import image_values, label_values
from autoseg.image.flat.resolution import PixelSpacing, alike, in_mm, resolution_of
from autoseg.image.geometry import Geometry

SpacingSource = Literal["", "given", "stated", "assumed"]
"""Where the size of a picture's pixels comes from: a person, its file, or nowhere; empty for other images."""

ASSUMED: PixelSpacing = (1.0, 1.0)
"""Spacing (y, x) in mm of pixels whose size nobody states."""


@dataclass(frozen=True)
class Grid:
    """Grid of a picture.

    Args:
        geometry: voxel grid, with one slice along z.
        source: where the size of the pixels comes from.
        channels: 3 for colours, else 1.
        told: what is unusual about the size of the pixels, the same for each such file.
    """

    geometry: Geometry
    source: SpacingSource
    channels: int
    told: tuple[str, ...]


@dataclass(frozen=True)
class Pixels:
    """A picture in memory.

    Args:
        array: (channel, 1, y, x) in the file's own dtype.
        grid: voxel grid with one slice along z, and where the size of its pixels comes from.
        told: what was done with it, one sentence each, the same for each such file.
    """

    array: NDArray
    grid: Grid
    told: tuple[str, ...]


def read_picture(path: Path, pixel_spacing: PixelSpacing | None, *, is_label: bool) -> Pixels | None:
    """Read a picture.

    Args:
        path: path of the file.
        pixel_spacing: spacing (y, x) in mm that is taken whatever the file states; None = that of the file.
        is_label: whether it is a label map, whose palette stands for its indices.

    Returns:
        None where the file is no picture by name and content.

    Raises:
        ImageError: it is damaged, or cannot be read exactly; the message says what to do.
    """
    if (kind := kind_of(path)) is None:
        return None
    require_intact(path, kind)
    with opened(path, kind) as found:
        # decoding takes things out of the header
        where = _grid(path, found, pixel_spacing)
        values, told = (label_values if is_label else image_values)(path, found)
    return Pixels(values[:, None], where, told if is_label else (*told, *where.told))


def read_picture_grid(path: Path, pixel_spacing: PixelSpacing | None) -> Grid | None:
    """Read the grid of a picture from its header alone; None where the file is no picture by name and content.

    Raises:
        ImageError: its header is damaged, or declares what is not read.
    """
    if (kind := kind_of(path)) is None:
        return None
    with opened(path, kind) as found:
        return _grid(path, found, pixel_spacing)


def _grid(path: Path, found: Opened, pixel_spacing: PixelSpacing | None) -> Grid:
    try:
        resolution = resolution_of(found.image.info)
    except ValueError as error:
        raise ImageError(f"{path}: {error}; write the file anew, or remove that text") from None
    # what is stated is that of the stored rows and columns
    stated = resolution.spacing[::-1] if resolution.spacing and found.sideways else resolution.spacing
    source: SpacingSource = "given" if pixel_spacing else "stated" if stated else "assumed"
    told: tuple[str, ...] = ()
    if pixel_spacing and stated and not alike(pixel_spacing, stated):
        told = (f"it states {in_mm(stated)} a pixel, and {in_mm(pixel_spacing)} is taken, as for the others",)
    if source == "assumed":
        told = (f"it {resolution.said}; {in_mm(ASSUMED)} a pixel is taken",)
    channels = 3 if found.image.mode in ("P", "PA", "RGB", "RGBA") else 1
    return Grid(grid(*found.size, pixel_spacing or stated or ASSUMED), source, channels, told)
