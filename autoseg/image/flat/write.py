"""Writes a label map as PNG: grey values that every program reads as they are.

There is no palette, since ITK reads the colours of one instead of the values.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow
from PIL.PngImagePlugin import PngInfo

from autoseg.errors import ImageError
from autoseg.image.flat.read import ASSUMED
from autoseg.image.flat.resolution import MM_PER_INCH, SPACING_KEY, spacing_text
from autoseg.image.geometry import Geometry

_MOST = 2**16 - 1


def write_label_picture(path: Path, array: NDArray, geometry: Geometry) -> None:
    """Write a label map as PNG of 8 bits, or of 16 bits where its dtype is wider.

    A text in the file states the size of the pixels exactly, for autoseg. Their number per inch does so for others,
    unless that is the 1 mm of pictures whose size is not known.

    Args:
        path: path of the file.
        array: (1, 1, y, x) whole numbers from 0 to 65535.
        geometry: voxel grid, of which only the spacing along y and x in mm is written.

    Raises:
        ImageError: it is no label map of one slice, or a value is beyond what PNG holds.
        OSError: writing to the disk fails.
    """
    if array.shape[:2] != (1, 1) or array.dtype.kind not in "iu":
        raise ImageError(f"{path}: PNG holds label maps of one slice along z; write NIfTI")
    if array.min() < 0 or array.max() > _MOST:
        raise ImageError(f"{path}: PNG holds the values 0 to {_MOST}, and a label has {array.min()} or {array.max()}")
    picture = pillow.fromarray(array[0, 0].astype(np.uint8 if array.dtype == np.uint8 else np.uint16))
    _, down, across = geometry.spacing
    text = PngInfo()
    text.add_text(SPACING_KEY, spacing_text((down, across)))
    stated = {} if (down, across) == ASSUMED else {"dpi": (MM_PER_INCH / across, MM_PER_INCH / down)}
    picture.save(path, "PNG", pnginfo=text, **stated)
