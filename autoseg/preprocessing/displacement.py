"""By how much two sequences of a case lie apart, measured on their edges.

In: two images of one patient on one grid, whatever their contrasts. Out: the displacement of the second
in mm, or None where edges cannot tell. A patient moves between sequences, and grids that agree in world
coordinates do not show it.

An edge is where tissues meet, in every contrast, bright to dark or dark to bright, strong or weak. So only
the directions of the gradients are compared, and not which way they point: their normalised tensors
(normalised gradient fields: Haber and Modersitzki, MICCAI 2006, LNCS 4191:726-733), by their correlation
within what both images show, for every displacement at once by Fourier transforms (masked as by Padfield,
IEEE Trans Image Process 2012, 21:2706-2718). A parabola through the peak and its neighbours gives parts
of a voxel. The measure is believed only if the edges correspond at all, and if both halves of the image,
taken for themselves, say the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from autoseg.image.geometry import Shape, Spacing
from autoseg.preprocessing.crop import nonzero_mask

SEARCH_MM = 12.0
"""Displacement up to which is searched along each axis; two voxels at least."""

SMOOTHING_MM = 1.0
"""Standard deviation of the Gaussian before the gradient: noise has edges too."""

AGREEMENT_MM = 1.0
"""Difference between the halves of an image, along each axis, up to which they agree; half a voxel at least."""

MOST_VOXELS = 2**18
"""Larger images are averaged over blocks first, along their finest axes."""

SMALLEST_OVERLAP = 0.5
"""Share of the voxels compared without displacement that must still be compared with one."""

RIM_MM = 2.5
"""Rim of an image's content that is left out, a voxel at least: where voxels end is an edge, but no tissue's."""


WEAK = 0.3
"""Share of the mean gradient at which an edge counts half: weaker ones are noise."""

LEAST_CORRELATION = 0.15
"""Correlation of the edges from which they correspond: T1 against STIR of a spine reaches 0.3 and more, T1 against
T2 0.7; images that have nothing in common stay under 0.14."""

PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
"""Entries of a symmetric tensor over the axes (z, y, x)."""


@dataclass(frozen=True)
class _Edges:
    """The edges of an image.

    Args:
        tensors: (6, z, y, x) the direction of the gradient, times itself, without its trace; 0 outside.
            The product of two is positive where the gradients run along one line, whichever way they
            point, negative where they run across each other, and 0 on average over all directions.
        inside: (z, y, x) what the image shows.
    """

    tensors: NDArray[np.float32]
    inside: NDArray[np.bool_]

    @property
    def strength(self) -> NDArray[np.float32]:
        """(z, y, x) the tensor's product with itself."""
        return np.square(self.tensors).sum(axis=0)


@dataclass(frozen=True)
class _Spectra:
    """Fourier transforms of a part of an image's edges, which add up as the parts do.

    Args:
        tensors: (6, z, y, x) of the entries of the tensors.
        strength: (z, y, x) of their products with themselves.
        mask: (z, y, x) of the part itself.
    """

    tensors: NDArray[np.complexfloating]
    strength: NDArray[np.complexfloating]
    mask: NDArray[np.complexfloating]

    @classmethod
    def of(cls, edges: _Edges, part: NDArray[np.bool_], size: list[int]) -> _Spectra:
        """Those of the voxels of `part`, on a grid of `size`, larger so that nothing is wrapped around."""

        def spectrum(values: NDArray) -> NDArray[np.complexfloating]:
            return fft.rfftn(values.astype(np.float32, copy=False), size)

        tensors = np.stack([spectrum(entry * part) for entry in edges.tensors])
        return cls(tensors, spectrum(edges.strength * part), spectrum(part))

    def __add__(self, other: _Spectra) -> _Spectra:
        return _Spectra(self.tensors + other.tensors, self.strength + other.strength, self.mask + other.mask)


def displacement(reference: NDArray[np.float32], moved: NDArray[np.float32], spacing: Spacing) -> Spacing | None:
    """How far `moved` lies from `reference` along the array axes (z, y, x), in mm.

    What is at a place in `reference` is at the place plus the displacement in `moved`. A constant zero
    around an image is taken for outside of it.

    Args:
        reference: (z, y, x).
        moved: (z, y, x), the same grid.
        spacing: mm (z, y, x).

    Returns:
        None where the edges of the two do not correspond well enough to tell, or lie further apart than
        `SEARCH_MM`. 0 along an axis of too few voxels.
    """
    factors = _block(reference.shape, spacing)
    coarse = (spacing[0] * factors[0], spacing[1] * factors[1], spacing[2] * factors[2])
    fixed, moving = (_edges(_averaged(image, factors), coarse) for image in (reference, moved))
    if fixed is None or moving is None:
        return None
    reach = _reach(fixed.inside.shape, coarse)
    size = [fft.next_fast_len(n + r, real=True) for n, r in zip(fixed.inside.shape, reach, strict=True)]
    against = _Spectra.of(moving, moving.inside, size)
    lower, upper = (_Spectra.of(fixed, half, size) for half in _halves(fixed.inside, coarse))
    whole, *parts = (_peak(_correlation(part, against, size, reach)) for part in (lower + upper, lower, upper))
    if whole is None or any(part is None for part in parts):
        return None
    tolerance = np.maximum(AGREEMENT_MM, 0.5 * np.asarray(coarse))
    first, second = (np.multiply(part, coarse) for part in parts if part is not None)
    if (np.abs(first - second) > tolerance).any():
        return None
    z, y, x = (round(float(v), 2) for v in np.multiply(whole, coarse))
    return z, y, x


def _block(shape: tuple[int, ...], spacing: Spacing) -> Shape:
    """Voxels (z, y, x) of the blocks to average over, so that few enough are left."""
    factors = np.ones(3, np.int64)
    while math.prod(-(-n // f) for n, f in zip(shape, factors.tolist(), strict=True)) > MOST_VOXELS:
        factors[int(np.argmin(np.asarray(spacing) * factors))] *= 2
    return int(factors[0]), int(factors[1]), int(factors[2])


def _averaged(image: NDArray[np.float32], factors: Shape) -> NDArray[np.float32]:
    """Means over whole blocks; a rest at the upper ends is left out."""
    if factors == (1, 1, 1):
        return image
    kept = [n // f * f for n, f in zip(image.shape, factors, strict=True)]
    blocks = image[: kept[0], : kept[1], : kept[2]].reshape(
        [part for n, f in zip(kept, factors, strict=True) for part in (n // f, f)]
    )
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32)


def _edges(image: NDArray[np.float32], spacing: Spacing) -> _Edges | None:
    """The edges of an image; None where it has none."""
    content = nonzero_mask(image[None], (True,))
    rim = [2 * max(1, math.ceil(RIM_MM / s)) + 1 for s in spacing]
    inside = ndimage.minimum_filter(content.view(np.uint8), rim, mode="nearest").astype(bool)
    if not inside.any():
        return None
    smooth = ndimage.gaussian_filter(image, [SMOOTHING_MM / s for s in spacing])
    gradient = np.zeros((3, *image.shape), np.float32)
    axes = [axis for axis in range(3) if image.shape[axis] > 1]
    for axis in axes:
        gradient[axis] = np.gradient(smooth, spacing[axis], axis=axis)
    squares = np.square(gradient).sum(axis=0)
    weak = WEAK * float(np.sqrt(squares[inside]).mean())
    if weak == 0:
        return None
    direction = np.where(inside, gradient / np.sqrt(squares + weak**2), 0)
    trace = np.square(direction).sum(axis=0) / len(axes)
    tensors = [
        direction[i] * direction[j] * math.sqrt(2) if i != j else (direction[i] ** 2 - trace) * (i in axes)
        for i, j in PAIRS
    ]
    return _Edges(np.stack(tensors).astype(np.float32), inside)


def _reach(shape: tuple[int, ...], spacing: Spacing) -> Shape:
    """Voxels (z, y, x) up to which a displacement is searched, each way."""
    z, y, x = (min(max(2, math.ceil(SEARCH_MM / s)), (n - 1) // 3) for n, s in zip(shape, spacing, strict=True))
    return z, y, x


def _halves(inside: NDArray[np.bool_], spacing: Spacing) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """A mask in two parts of about as many voxels, cut across its longest axis."""
    axis = int(np.argmax(np.multiply(inside.shape, spacing)))
    counts = inside.sum(axis=tuple(a for a in range(3) if a != axis))
    cut = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2)) + 1
    lower = np.zeros_like(inside)
    np.moveaxis(lower, axis, 0)[:cut] = True
    return inside & lower, inside & ~lower


def _correlation(fixed: _Spectra, moving: _Spectra, size: list[int], reach: Shape) -> NDArray[np.float64]:
    """Correlation of the edges for every displacement, (2 reach + 1) along each axis.

    Each over the voxels that both show; -1 where those are too few.
    """
    displacements = np.ix_(*(np.arange(-r, r + 1) % n for r, n in zip(reach, size, strict=True)))

    def sums(product: NDArray[np.complexfloating]) -> NDArray[np.float64]:
        """Sum over the voxels, for every displacement, of a product of spectra."""
        return fft.irfftn(product, size)[displacements].astype(np.float64)

    common = sums(np.einsum("i...,i...->...", fixed.tensors.conj(), moving.tensors))
    voxels = np.maximum(sums(fixed.mask.conj() * moving.mask), 1)
    of_fixed = sums(fixed.strength.conj() * moving.mask)
    of_moving = sums(fixed.mask.conj() * moving.strength)
    # rounding of the transforms may carry sums of nothing below zero
    correlation = common / np.sqrt(np.maximum(of_fixed, 1e-6 * voxels) * np.maximum(of_moving, 1e-6 * voxels))
    return np.where(voxels >= SMALLEST_OVERLAP * voxels[reach], correlation, -1.0)


def _peak(correlation: NDArray[np.float64]) -> tuple[float, float, float] | None:
    """Displacement (z, y, x) in voxels at which a correlation is highest; None where that is low or at its rim."""
    if correlation.max() < LEAST_CORRELATION:
        return None
    top = np.unravel_index(int(np.argmax(correlation)), correlation.shape)
    found = []
    for axis, (at, n) in enumerate(zip(top, correlation.shape, strict=True)):
        if n == 1:
            found.append(0.0)
            continue
        if at in (0, n - 1):
            return None
        # the line through the top along this axis
        line = correlation[tuple(slice(None) if a == axis else int(i) for a, i in enumerate(top))]
        below, here, above = line[at - 1 : at + 2]
        curvature = below - 2 * here + above
        found.append(float(at - n // 2 + (0.5 * (below - above) / curvature if curvature < 0 else 0.0)))
    return found[0], found[1], found[2]
