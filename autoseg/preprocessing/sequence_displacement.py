"""Measures the displacement between two sequences of a case on their edges.

In: two images of one patient on one grid, with any contrasts. Out: the displacement of the second
in mm, or None where it cannot be measured. A patient may move between sequences, which the world
coordinates of the grids do not show.

Edges are where tissues meet. They are at the same places in every contrast, but may run from bright to dark or from
dark to bright, and be strong or weak. Therefore only the directions of the gradients are compared, without their sign
and strength, as normalised tensors (normalised gradient fields: Haber and Modersitzki, MICCAI 2006, LNCS
4191:726-733). Fourier transforms give the correlation of the tensors for all displacements at once, each over the
voxels that both images show (masked correlation: Padfield, IEEE Trans Image Process 2012, 21:2706-2718). A parabola
through the peak and its neighbours refines the result to fractions of a voxel. The result is accepted only if the
correlation is high enough, and if both halves of the image give the same displacement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from autoseg.image.geometry import Shape, Spacing
from autoseg.preprocessing.edges import averaged, block, edge_directions

SEARCH_MM = 12.0
"""Largest displacement in mm that is searched along each axis; at least two voxels."""

AGREEMENT_MM = 1.0
"""Largest difference in mm along each axis at which the two halves of an image agree; at least half a voxel."""

MOST_VOXELS = 2**18
"""Images with more voxels than this are first averaged over blocks, along their finest axes."""

SMALLEST_OVERLAP = 0.5
"""Smallest overlap at a displacement, as a fraction of the voxels that overlap without displacement."""

LEAST_CORRELATION = 0.15
"""Smallest correlation of the edges at which a displacement is accepted.

T1 against STIR of a spine reaches 0.3 and more, T1 against T2 0.7; unrelated images stay below 0.14.
"""

PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
"""Pairs of axes (0 = z, 1 = y, 2 = x) of the six entries of a symmetric tensor."""


@dataclass(frozen=True)
class _Edges:
    """The edges of an image.

    Args:
        tensors: traceless outer product of the gradient's direction with itself, (6, z, y, x); 0 outside.
            The product of two such tensors is positive where the gradients are parallel or antiparallel,
            negative where they are perpendicular, and 0 on average over all directions.
        inside: mask (z, y, x) of the voxels in which the image has content.
    """

    tensors: NDArray[np.float32]
    inside: NDArray[np.bool_]

    @property
    def strength(self) -> NDArray[np.float32]:
        """Product of each tensor with itself, (z, y, x)."""
        return np.square(self.tensors).sum(axis=0)


@dataclass(frozen=True)
class _Spectra:
    """Fourier transforms of the edges in a part of an image.

    Args:
        tensors: transforms (6, z, y, x) of the entries of the tensors.
        strength: transform (z, y, x) of the products of the tensors with themselves.
        mask: transform (z, y, x) of the part's mask.
    """

    tensors: NDArray[np.complexfloating]
    strength: NDArray[np.complexfloating]
    mask: NDArray[np.complexfloating]

    @classmethod
    def of(cls, edges: _Edges, part: NDArray[np.bool_], size: list[int]) -> _Spectra:
        """Transform the edges in the mask `part`, zero-padded to `size` so that displacements do not wrap around."""

        def spectrum(values: NDArray) -> NDArray[np.complexfloating]:
            return fft.rfftn(values.astype(np.float32, copy=False), size)

        tensors = np.stack([spectrum(entry * part) for entry in edges.tensors])
        return cls(tensors, spectrum(edges.strength * part), spectrum(part))


@dataclass(frozen=True)
class _Sums:
    """Sums over the voxels that two images share, for every displacement (z, y, x); `+` adds those of two parts.

    Args:
        common: product of the two images' tensors.
        voxels: number of the shared voxels.
        of_fixed: product of the first image's tensors with themselves.
        of_moving: the same for the second image.
    """

    common: NDArray[np.float64]
    voxels: NDArray[np.float64]
    of_fixed: NDArray[np.float64]
    of_moving: NDArray[np.float64]

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(
            self.common + other.common,
            self.voxels + other.voxels,
            self.of_fixed + other.of_fixed,
            self.of_moving + other.of_moving,
        )


def displacements(
    reference: NDArray[np.float32], others: Sequence[NDArray[np.float32]], spacing: Spacing
) -> list[Spacing | None]:
    """Displacement of each of `others` against `reference` along the array axes (z, y, x) in mm.

    A structure at position p in `reference` is at p plus the displacement in the other image. Zero voxels around
    an image count as outside of it.

    Args:
        reference: first image (z, y, x).
        others: further images (z, y, x) on the same grid.
        spacing: spacing (z, y, x) in mm.

    Returns:
        The displacements; 0 along an axis with too few voxels. None where the edges of the two images correspond too
        little, or the displacement is larger than `SEARCH_MM`.
    """
    factors = block(reference.shape, spacing, MOST_VOXELS)
    coarse = (spacing[0] * factors[0], spacing[1] * factors[1], spacing[2] * factors[2])
    fixed = _edges(averaged(reference, factors), coarse)
    if fixed is None:
        return [None] * len(others)
    reach = _reach(fixed.inside.shape, coarse)
    size = [fft.next_fast_len(n + r, real=True) for n, r in zip(fixed.inside.shape, reach, strict=True)]
    halves = [_Spectra.of(fixed, half, size) for half in _halves(fixed.inside, coarse)]
    return [_against(halves, _edges(averaged(image, factors), coarse), coarse, size, reach) for image in others]


def edge_correlation(first: NDArray[np.float32], second: NDArray[np.float32], spacing: Spacing) -> float:
    """Correlation of the edges of two images as they lie, from -1 to 1; 0 where one of them has no edges.

    Args:
        first: image (z, y, x).
        second: image (z, y, x) on the same grid.
        spacing: spacing (z, y, x) in mm.
    """
    factors = block(first.shape, spacing, MOST_VOXELS)
    coarse = (spacing[0] * factors[0], spacing[1] * factors[1], spacing[2] * factors[2])
    edges = [_edges(averaged(image, factors), coarse) for image in (first, second)]
    if edges[0] is None or edges[1] is None:
        return 0.0
    shared = edges[0].inside & edges[1].inside
    common = float((edges[0].tensors * edges[1].tensors).sum(axis=0)[shared].sum())
    product = float(edges[0].strength[shared].sum()) * float(edges[1].strength[shared].sum())
    return common / math.sqrt(product) if product > 0 else 0.0


def _against(
    halves: Sequence[_Spectra], moving: _Edges | None, coarse: Spacing, size: list[int], reach: Shape
) -> Spacing | None:
    """Displacement in mm of an image's edges against those of a reference, of which the two halves are given."""
    if moving is None:
        return None
    spectra = _Spectra.of(moving, moving.inside, size)
    lower, upper = (_sums(half, spectra, size, reach) for half in halves)
    whole, *parts = (_peak(_correlation(part, reach)) for part in (lower + upper, lower, upper))
    if whole is None or any(part is None for part in parts):
        return None
    tolerance = np.maximum(AGREEMENT_MM, 0.5 * np.asarray(coarse))
    first, second = (np.multiply(part, coarse) for part in parts if part is not None)
    if (np.abs(first - second) > tolerance).any():
        return None
    z, y, x = (round(float(v), 2) for v in np.multiply(whole, coarse))
    return z, y, x


def _edges(image: NDArray[np.float32], spacing: Spacing) -> _Edges | None:
    """The edges of an image; None where it has none."""
    found = edge_directions(image, spacing)
    if found is None:
        return None
    direction, inside = found
    axes = [axis for axis in range(3) if image.shape[axis] > 1]
    trace = np.square(direction).sum(axis=0) / len(axes)
    tensors = [
        direction[i] * direction[j] * math.sqrt(2) if i != j else (direction[i] ** 2 - trace) * (i in axes)
        for i, j in PAIRS
    ]
    return _Edges(np.stack(tensors).astype(np.float32), inside)


def _reach(shape: tuple[int, ...], spacing: Spacing) -> Shape:
    """Largest displacement (z, y, x) in voxels that is searched in both directions."""
    z, y, x = (min(max(2, math.ceil(SEARCH_MM / s)), (n - 1) // 3) for n, s in zip(shape, spacing, strict=True))
    return z, y, x


def _halves(inside: NDArray[np.bool_], spacing: Spacing) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Divide a mask across its longest axis into two parts with about equally many voxels."""
    axis = int(np.argmax(np.multiply(inside.shape, spacing)))
    counts = inside.sum(axis=tuple(a for a in range(3) if a != axis))
    cut = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2)) + 1
    lower = np.zeros_like(inside)
    np.moveaxis(lower, axis, 0)[:cut] = True
    return inside & lower, inside & ~lower


def _sums(fixed: _Spectra, moving: _Spectra, size: list[int], reach: Shape) -> _Sums:
    """The sums for every displacement that is searched, 2 reach + 1 entries along each axis (z, y, x)."""

    def near_zero(product: NDArray[np.complexfloating]) -> NDArray[np.float64]:
        """Transform a product of spectra back; axis by axis, so that what is too far off is dropped on the way."""
        wanted = [np.arange(-r, r + 1) % n for r, n in zip(reach, size, strict=True)]
        for axis in (0, 1):
            product = np.take(fft.ifft(product, axis=axis), wanted[axis], axis=axis)
        return np.take(fft.irfft(product, size[2], axis=2), wanted[2], axis=2).astype(np.float64)

    return _Sums(
        near_zero(np.einsum("i...,i...->...", fixed.tensors.conj(), moving.tensors)),
        near_zero(fixed.mask.conj() * moving.mask),
        near_zero(fixed.strength.conj() * moving.mask),
        near_zero(fixed.mask.conj() * moving.strength),
    )


def _correlation(sums: _Sums, reach: Shape) -> NDArray[np.float64]:
    """Correlation of the edges for every displacement, with 2 reach + 1 entries along each axis (z, y, x).

    Each correlation is over the voxels in which both images have content; it is -1 where these are too few.
    """
    voxels = np.maximum(sums.voxels, 1)
    # sums that should be zero may become negative by rounding in the transforms
    product = np.maximum(sums.of_fixed, 1e-6 * voxels) * np.maximum(sums.of_moving, 1e-6 * voxels)
    return np.where(voxels >= SMALLEST_OVERLAP * voxels[reach], sums.common / np.sqrt(product), -1.0)


def _peak(correlation: NDArray[np.float64]) -> tuple[float, float, float] | None:
    """Displacement (z, y, x) in voxels with the highest correlation; None if it is too low or at the search limit."""
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
        # the line through the peak along this axis
        line = correlation[tuple(slice(None) if a == axis else int(i) for a, i in enumerate(top))]
        below, here, above = line[at - 1 : at + 2]
        curvature = below - 2 * here + above
        found.append(float(at - n // 2 + (0.5 * (below - above) / curvature if curvature < 0 else 0.0)))
    return found[0], found[1], found[2]
