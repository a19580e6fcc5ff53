"""Rounds the values of label maps that lie beside a whole number, and writes numbers so that a fraction is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROUNDED_WITHIN = 1e-3
"""Values are rounded that lie at most so far from a whole number; a scale in a header can make them."""


def rounded(path: Path, array: NDArray) -> tuple[NDArray, str]:
    """Round the values of a label map that lie at most 0.001 from a whole number.

    Args:
        path: path of the file, for the sentence.
        array: label map; one of floats is changed in place.

    Returns:
        The label map, and a sentence that says what was rounded; it is empty where nothing was.
    """
    if array.dtype.kind != "f":
        return array, ""
    count, farthest, example = 0, 0.0, 0.0
    # slice by slice, since label maps can be large
    for part in array.reshape(-1, *array.shape[-2:]):
        with np.errstate(invalid="ignore"):
            whole = np.rint(part)
            apart = np.abs(part - whole)
        beside = (apart > 0) & (apart <= ROUNDED_WITHIN)
        if not beside.any():
            continue
        count += int(np.count_nonzero(beside))
        if (largest := float(apart[beside].max())) > farthest:
            farthest, example = largest, float(part[beside & (apart == largest)][0])
        part[beside] = whole[beside]
    if not count:
        return array, ""
    return array, (
        f"{path}: {count} voxels hold values up to {farthest:.2g} from a whole number, such as {written(example)}; "
        "they were rounded"
    )


def written(value: float) -> str:
    """Return a number as a text that shows whether it is whole.

    Examples:
        >>> written(1234567.0), written(0.9999999), written(0.30000001192092896), written(1234567.5)
        ('1234567', '0.9999999', '0.3', '1234567.5')
    """
    if float(value).is_integer():
        return str(int(value))
    short = f"{value:.7g}"
    return short if not np.isfinite(value) or not float(short).is_integer() else repr(float(value))
