"""Takes the values out of a picture: intensities and colours of an image, or the classes of a label map.

Out: arrays (channel, y, x), and sentences that say what was done, in the same words for every such file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps
from PIL.Image import Image as Picture

from autoseg.errors import ImageError
from autoseg.image.flat.opened import Opened

_WITH_ALPHA = ("LA", "RGBA", "PA")


def image_values(path: Path, found: Opened) -> tuple[NDArray, tuple[str, ...]]:
    """Values of an image (channel, y, x), of which colours have three channels: red, green and blue.

    A palette becomes its colours. An opacity that is the same everywhere is dropped.

    Raises:
        ImageError: its opacity varies.
    """
    picture, told = _as_seen(found)
    if picture.mode in ("P", "PA"):
        told = (*told, "its palette was converted into the colours")
        picture = picture.convert("RGBA" if picture.mode == "PA" or "transparency" in picture.info else "RGB")
    elif picture.mode == "1":
        picture = picture.convert("L")
    elif "transparency" in picture.info and picture.mode in ("L", "RGB"):
        picture = picture.convert("LA" if picture.mode == "L" else "RGBA")
    values = _channels(picture)
    if picture.mode in _WITH_ALPHA:
        values, dropped = _without_alpha(path, values)
        told = (*told, dropped)
    return values, told


def label_values(path: Path, found: Opened) -> tuple[NDArray, tuple[str, ...]]:
    """Values of a label map (1, y, x): the indices of a palette, or grey values as they are stored.

    Raises:
        ImageError: it is JPEG, in colour, or its opacity varies.
    """
    if found.kind == "JPEG":
        raise ImageError(
            f"{path}: is a label map in JPEG, which changes values so that they are not exact; save it as PNG (values "
            "that were saved as JPEG before have to be drawn or exported anew)"
        )
    if found.white_is_zero:
        raise ImageError(f"{path}: stores white as 0, so that the values of its classes are not clear; save it as PNG")
    picture, told = _as_seen(found)
    values = _channels(picture)
    if picture.mode == "L" and found.bits < 8:
        # Pillow spreads fewer bits over 0 to 255
        values = values // (255 // (2**found.bits - 1))
    if picture.mode in _WITH_ALPHA:
        values, dropped = _without_alpha(path, values)
        told = (*told, dropped)
    if len(values) == 1:
        return values, told
    if (grey := only_grey(values)) is None:
        raise ImageError(
            f"{path}: is a label map in colour; save the number of each pixel's class, as grey values or as the "
            "indices of a palette"
        )
    return grey, (*told, "its three colours are equal everywhere, and one of them is read")


def only_grey(values: NDArray) -> NDArray | None:
    """The first of three channels (1, y, x) where all are equal; None where there is colour."""
    same = all(np.array_equal(values[0], other) for other in values[1:])
    return values[:1] if same else None


def _as_seen(found: Opened) -> tuple[Picture, tuple[str, ...]]:
    """The decoded picture, turned as its EXIF orientation says."""
    found.image.load()
    if found.orientation == 1:
        return found.image, ()
    # Pillow has turned TIFF when it was loaded, and then does nothing here
    turned = ImageOps.exif_transpose(found.image)
    return turned, (
        f"it was turned as its EXIF orientation ({found.orientation}) says, as viewers show it; its label map and its "
        "prediction lie so",
    )


def _channels(picture: Picture) -> NDArray:
    values = np.asarray(picture)
    # in the byte order of the machine, and a copy that can be changed
    values = values.astype(np.uint8 if values.dtype == bool else values.dtype.newbyteorder("="))
    return values[None] if values.ndim == 2 else np.ascontiguousarray(np.moveaxis(values, -1, 0))


def _without_alpha(path: Path, values: NDArray) -> tuple[NDArray, str]:
    *_, alpha = values
    lowest, highest = int(alpha.min()), int(alpha.max())
    if lowest != highest:
        most = int(np.count_nonzero(alpha != highest))
        raise ImageError(
            f"{path}: its opacity (alpha) is not the same everywhere: it differs in {most} of {alpha.size} pixels; "
            "save it without (flattened)"
        )
    return values[:-1], f"its opacity (alpha) is {lowest} everywhere and was dropped"
