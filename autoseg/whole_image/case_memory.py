"""The memory that predicting one whole case takes, from numbers of voxels; it decides how many cases are in memory."""

from __future__ import annotations

from collections.abc import Sequence

_COPIES_OF_IMAGE, _BYTES_OF_IMAGE = 3, 4
"""A channel as it is read, turned and normalised, in float32."""

_BYTES_OF_LABEL_MAPS = 16
"""Of a voxel of the image: masks, class indices, label map, the file that is compressed, components."""

_BYTES_OF_CLASS = 3
"""Of a voxel at the network's spacing: a probability in half precision, and in 8 bit."""

_BYTES_OF_SLAB = 4
"""Of a voxel at the network's spacing and a class: the slab in single precision, at most the whole image."""


_BYTES_OF_MEMBER = 1
"""Of a voxel at the network's spacing: the class that a member of the ensemble gives it."""


def case_bytes(voxels: float, prepared: Sequence[float], channels: int, classes: int, members: int = 0) -> int:
    """Return an upper bound of the memory in bytes that a case takes from its files to its label map.

    Args:
        voxels: number of voxels of the image as it is stored.
        prepared: number of voxels at the spacing of each configuration that predicts.
        channels: number of sequences of the plan, also of those that the case lacks.
        classes: number of classes, background included.
        members: number of members of each configuration whose label maps are kept.
    """
    stored = voxels * (_COPIES_OF_IMAGE * _BYTES_OF_IMAGE * channels + _BYTES_OF_LABEL_MAPS)
    kept = sum(prepared) * (classes * _BYTES_OF_CLASS + members * _BYTES_OF_MEMBER)
    predicted = max(prepared) * (channels * _BYTES_OF_IMAGE + classes * _BYTES_OF_SLAB)
    return int(stored + kept + predicted)
