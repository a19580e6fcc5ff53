"""The edges of an image, by which sequences are compared: the directions of its gradients, whatever their strength.

Source: normalised gradient fields (Haber and Modersitzki, MICCAI 2006, LNCS 4191:726-733).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autoseg.image.geometry import Shape, Spacing
from autoseg.preprocessing.crop import nonzero_mask

SMOOTHING_MM = 1.0
"""Standard deviation in mm of the Gaussian before the gradient, which removes edges made by noise."""

RIM_MM = 2.5
"""Width in mm of the border of an image's content that is ignored, at least one voxel: its edge is not of tissue."""


WEAK = 0.3
"""Fraction of the mean gradient at which an edge gets half weight; weaker edges are mostly noise."""


def block(shape: tuple[int, ...], spacing: Spacing, most: int) -> Shape:
    """Size (z, y, x) in voxels of the blocks to average over, so that few enough are left.

    Args:
        shape: shape (z, y, x) of the image.
        spacing: spacing (z, y, x) in mm.
        most: number of voxels that may be left.
    """
    factors = np.ones(3, np.int64)
    while math.prod(-(-n // f) for n, f in zip(shape, factors.tolist(), strict=True)) > most:
        factors[int(np.argmin(np.asarray(spacing) * factors))] *= 2
    return int(factors[0]), int(factors[1]), int(factors[2])


def averaged(image: NDArray[np.float32], factors: Shape) -> NDArray[np.float32]:
    """Means (z, y, x) over whole blocks; voxels at the upper ends that fill no block are left out.

    Args:
        image: image (z, y, x).
        factors: size (z, y, x) of a block in voxels.
    """
    if factors == (1, 1, 1):
        return image
    kept = [n // f * f for n, f in zip(image.shape, factors, strict=True)]
    blocks = image[: kept[0], : kept[1], : kept[2]].reshape(
        [part for n, f in zip(kept, factors, strict=True) for part in (n // f, f)]
    )
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32)


def edge_directions(
    image: NDArray[np.float32], spacing: Spacing
) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
    """Directions of the edges, and where the image has content; None where it has no edges.

    Args:
        image: image (z, y, x).
        spacing: spacing (z, y, x) in mm.

    Returns:
        Gradients (3, z, y, x) divided by their length: near 1 at strong edges, less at weak ones, 0 outside;
        and the mask (z, y, x) of the content without its rim.
    """
    content = nonzero_mask(image[None], (True,))
    rim = [2 * max(1, math.ceil(RIM_MM / s)) + 1 for s in spacing]
    inside = ndimage.minimum_filter(content.view(np.uint8), rim, mode="nearest").astype(bool)
    if not inside.any():
        return None
    smooth = ndimage.gaussian_filter(image, [SMOOTHING_MM / s for s in spacing])
    gradient = np.zeros((3, *image.shape), np.float32)
    for axis in range(3):
        if image.shape[axis] > 1:
            gradient[axis] = np.gradient(smooth, spacing[axis], axis=axis)
    squares = np.square(gradient).sum(axis=0)
    weak = WEAK * float(np.sqrt(squares[inside]).mean())
    if weak == 0:
        return None
    return np.where(inside, gradient / np.sqrt(squares + weak**2), np.float32(0)), inside
