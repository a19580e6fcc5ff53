"""Finds the box around the body in an image, as far as the image shows it.

The body is the largest connected component above Otsu's threshold (IEEE Trans. Syst. Man Cybern. 9:62, 1979) of the
square root of the intensities. The root is taken because MR coils make the rim of a body brighter than its middle.
Voxels of the lowest value are padding, as CT has it outside of the circle that was scanned: they are as dark as air.
"""

from __future__ import annotations

from collections.abc import Sequence

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autoseg.image.geometry import Corners, Shape
from autoseg.preprocessing.crop import box_of

BINS = 256
MOST_VOXELS_ALONG_AN_AXIS = 128
"""Larger images are looked at in steps of several voxels: a box needs no more."""


def body_box(image: NDArray[np.float32], present: Sequence[bool]) -> Corners:
    """Box around the body, as (lower, upper) in voxels (z, y, x), upper end excluded; the whole image without a body.

    Args:
        image: image (channel, z, y, x); CT and MR alike.
        present: for each channel whether the sequence was acquired.
    """
    shape = (image.shape[1], image.shape[2], image.shape[3])
    steps = tuple(-(-n // MOST_VOXELS_ALONG_AN_AXIS) for n in shape)
    brightness = _brightness(image[:, :: steps[0], :: steps[1], :: steps[2]], present)
    # the opening separates the body from noise and from the table it lies on
    opened = ndimage.binary_opening(brightness > otsu_threshold(brightness))
    if not opened.any():
        return (0, 0, 0), shape
    body = cc3d.largest_k(opened.astype(np.uint8), k=1, connectivity=6) > 0
    lower, upper = box_of(body)
    return _in_voxels(lower, steps, shape), _in_voxels(upper, steps, shape)


def otsu_threshold(values: NDArray[np.float32]) -> float:
    """The threshold that divides values into two classes with the largest variance between them; Otsu's method.

    SimpleITK's ends the process, without an error, where memory is too little for its threads.

    Args:
        values: values of any shape.
    """
    counts, edges = np.histogram(values, BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below, above = np.cumsum(counts)[:-1], np.cumsum(counts[::-1])[-2::-1]
    mean_below = np.cumsum(counts * centres)[:-1] / np.maximum(below, 1)
    mean_above = np.cumsum((counts * centres)[::-1])[-2::-1] / np.maximum(above, 1)
    best = int(np.argmax(below.astype(float) * above * (mean_above - mean_below) ** 2))
    return float(edges[best + 1])


def _brightness(image: NDArray[np.float32], present: Sequence[bool]) -> NDArray[np.float32]:
    """Mean over the channels (z, y, x) of the root of intensities that are scaled to 0 and 1."""
    total = np.zeros(image.shape[1:], dtype=np.float32)
    for channel, there in zip(image, present, strict=True):
        if there:
            acquired = channel[channel > channel.min()]
            if not acquired.size:
                continue
            low, high = np.percentile(acquired, (1, 99))
            total += np.sqrt(np.clip((channel - low) / max(high - low, 1e-6), 0, 1)) / sum(present)
    return total


def _in_voxels(index: Shape, steps: Sequence[int], shape: Shape) -> Shape:
    z, y, x = (min(i * step, n) for i, step, n in zip(index, steps, shape, strict=True))
    return z, y, x
