"""Patch size, pooling and depth: how the stages of a U-Net follow from spacing and patch size.

In: spacing and patch size. Out: a `Topology`. Axes are in the planner's order; there are two or three of them (a 2D
network has no slice axis here). The rules are nnU-Net's (Isensee et al., Nature Methods 2021, supplement "Network
topology"; release 2.8.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.errors import PlanError

SMALLEST_FEATURE_MAP = 4
"""Shortest edge in voxels that pooling may leave."""

CUBE_3D = 256
"""Edge in voxels of the cube whose volume the first patch of a 3D network has."""

SQUARE_2D = 2048
"""Edge in pixels of the square whose area the first patch of a 2D network has."""

Axes = tuple[int, ...]


@dataclass(frozen=True)
class Topology:
    """Stages of a U-Net and a patch that they can divide; every tuple has an entry for each planned axis.

    Args:
        patch_size: patch size in voxels, which `divisor` divides.
        strides: down-sampling factors at the entry of each stage; those of the first stage are all 1.
        kernel_sizes: size of the convolution kernel of each stage.
    """

    patch_size: Axes
    strides: tuple[Axes, ...]
    kernel_sizes: tuple[Axes, ...]

    @property
    def divisor(self) -> Axes:
        """For each axis the number that the patch size must be a multiple of."""
        return tuple(math.prod(strides) for strides in zip(*self.strides, strict=True))


def plan_topology(spacing: Sequence[float], patch_size: Sequence[float]) -> Topology:
    """The stages for a patch, and the patch padded to a size that they can divide.

    Axes are pooled by two while feature maps stay large enough; axes that are at least twice as coarse as the finest
    wait until their spacing is similar. The kernel is 1 along such a coarse axis, and 3 from the stage on where its
    spacing is similar; at the lowest stage it is 3 along every axis.

    Args:
        spacing: spacing in mm of each planned axis.
        patch_size: voxels along each planned axis; may be fractional.
    """
    current, size = list(spacing), [float(n) for n in patch_size]
    kernel: Axes = (1,) * len(current)
    strides, kernels = [kernel], []
    while pooled := axes_to_pool(current, size):
        kernel = _grown(kernel, current)
        kernels.append(kernel)
        strides.append(tuple(2 if axis in pooled else 1 for axis in range(len(current))))
        for axis in pooled:
            current[axis] *= 2
            size[axis] = math.ceil(size[axis] / 2)
    kernels.append((3,) * len(current))
    divisor = [math.prod(of_axis) for of_axis in zip(*strides, strict=True)]
    padded = tuple(math.ceil(n / d) * d for n, d in zip(patch_size, divisor, strict=True))
    return Topology(padded, tuple(strides), tuple(kernels))


def axes_to_pool(spacing: Sequence[float], size: Sequence[float]) -> Axes:
    """Axes that the next stage halves; empty where the network ends.

    These are the axes that are long enough and less than twice as coarse as the finest axis that is long enough. A
    single axis is halved only if it stays clearly longer than the smallest feature map.

    Args:
        spacing: spacing in mm of each axis at the present stage.
        size: voxels along each axis at the present stage.
    """
    long_enough = [axis for axis, n in enumerate(size) if n >= 2 * SMALLEST_FEATURE_MAP]
    if not long_enough:
        return ()
    finest = min(spacing[axis] for axis in long_enough)
    pooled = tuple(axis for axis in long_enough if spacing[axis] / finest < 2)
    if len(pooled) == 1 and size[pooled[0]] < 3 * SMALLEST_FEATURE_MAP:
        return ()
    return pooled


def first_patch(spacing: Sequence[float], median_shape: Sequence[float]) -> tuple[float, ...]:
    """The largest patch that is tried, in voxels: its sides are equal in mm, and limited to the median case.

    Args:
        spacing: spacing in mm of each planned axis.
        median_shape: voxels of the median case along each planned axis; may be fractional.
    """
    per_mm = [1 / s for s in spacing]
    volume = CUBE_3D**3 if len(per_mm) == 3 else SQUARE_2D**2
    scale = (volume / math.prod(per_mm)) ** (1 / len(per_mm))
    return tuple(min(round(n * scale), limit) for n, limit in zip(per_mm, median_shape, strict=True))


def next_smaller(topology: Topology, spacing: Sequence[float], median_shape: Sequence[float]) -> Topology:
    """The topology of a patch that is one step shorter along the axis that is longest relative to the median case.

    Of equally long axes the last one is shortened. One step is the number that the shortened patch must be a multiple
    of: a patch of 256 voxels that is pooled five times becomes 224, not 192.

    Args:
        topology: topology of the present patch.
        spacing: spacing in mm of each planned axis.
        median_shape: voxels of the median case along each planned axis.

    Raises:
        PlanError: the patch cannot become smaller.
    """
    share = [n / limit for n, limit in zip(topology.patch_size, median_shape, strict=True)]
    axis = max(range(len(share)), key=lambda a: (share[a], a))
    shortened = plan_topology(spacing, _shortened(topology.patch_size, axis, topology.divisor[axis]))
    smaller = _shortened(topology.patch_size, axis, shortened.divisor[axis])
    if smaller[axis] < 1:
        raise PlanError("no patch is small enough for the memory target; give more with --memory")
    return plan_topology(spacing, smaller)


def _grown(kernel: Axes, spacing: Sequence[float]) -> Axes:
    """Kernel size of a stage: 3 along axes less than twice as coarse as the finest, and along those that had 3."""
    finest = min(spacing)
    return tuple(3 if k == 3 or s / finest < 2 else 1 for k, s in zip(kernel, spacing, strict=True))


def _shortened(size: Axes, axis: int, by: int) -> Axes:
    return tuple(n - by if a == axis else n for a, n in enumerate(size))
