"""Kinds of phantom: on what grid a case is acquired, and how many and how large its metastases are.

`spine` is the common one: 4 mm slices, metastases from a few voxels to half a vertebra, about 0.5 %
of the voxels. `small` is the hard one for training: 6 mm slices of 0.7 mm voxels and small metastases
alone, about 0.1 % of the voxels. Anatomy, contrasts, what looks alike, noise and motion are the same.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PhantomKind:
    """Grid and metastases of every case of a phantom.

    Args:
        shape: voxels (z, y, x): slices, rows, columns; another shape sees the same field of view.
        thickness: mm of a slice at that shape; one of them is drawn for a case.
        in_plane: mm of a voxel within a slice at that shape; likewise.
        metastases: fewest and most that a patient has.
        radius: mm, smallest and largest of a metastasis.
        leading: mm, least radius of a patient's first one, so that no case holds specks alone.
    """

    shape: tuple[int, int, int]
    thickness: tuple[float, ...]
    in_plane: tuple[float, ...]
    metastases: tuple[int, int]
    radius: tuple[float, float]
    leading: float


KINDS = {
    "spine": PhantomKind(
        shape=(14, 160, 96),
        thickness=(4.0, 4.2, 4.4),
        in_plane=(1.05, 1.1, 1.15),
        metastases=(1, 6),
        radius=(1.8, 12.5),
        leading=6.0,
    ),
    "small": PhantomKind(
        shape=(10, 252, 152),
        thickness=(5.8, 6.0, 6.2),
        in_plane=(0.67, 0.7, 0.73),
        metastases=(2, 6),
        radius=(2.2, 5.5),
        leading=3.5,
    ),
}
