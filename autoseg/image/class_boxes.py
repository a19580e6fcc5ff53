"""Bounding boxes of the classes or regions of a label map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from autoseg.image.labels import Labels

Slices = tuple[slice, ...]


def class_boxes(classes: NDArray[np.uint8], labels: Labels) -> list[Slices | None]:
    """Smallest box of each foreground class or region, in the order of `labels.foreground`; None where it is absent.

    Args:
        classes: class indices (z, y, x).
        labels: classes and regions of the data set.
    """
    of_class = find_objects(classes, max_label=labels.classes - 1)
    found: list[Slices | None] = []
    for members in labels.members:
        box: Slices | None = None
        for index in members:
            box = hull(box, of_class[index - 1])
        found.append(box)
    return found


def hull(a: Slices | None, b: Slices | None) -> Slices | None:
    """Smallest box that holds both boxes; None where both are None."""
    if a is None or b is None:
        return a or b
    return tuple(slice(min(s.start, t.start), max(s.stop, t.stop)) for s, t in zip(a, b, strict=True))
