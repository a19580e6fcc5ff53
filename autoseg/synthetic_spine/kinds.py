"""Defines the kinds of phantom: the grid of a case, and number and size of its metastases.

`spine` is the usual kind: 4 mm slices, metastases from a few voxels to half a vertebra, about 0.5 % of the voxels.
`small` is hard to learn: 6 mm slices with 0.7 mm voxels, and small metastases only, about 0.1 % of the voxels.
Anatomy, contrasts, confounders, noise and motion are the same in both.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PhantomKind:
    """Grid and metastases of every case of a phantom.

    Args:
        shape: number of voxels (z, y, x), that is slices, rows and columns; `make_phantom` can draw another shape of
            the same field of view.
        thickness: slice thicknesses in mm at that shape; one of them is drawn for each case.
        in_plane: voxel sizes in mm within a slice at that shape; one of them is drawn for each case.
        metastases: smallest and largest number of metastases of a patient.
        radius: smallest and largest radius of a metastasis in mm.
        leading: smallest radius in mm of a patient's first metastasis, so that no case has only tiny ones.
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
