"""Resample a region of a case to a patch: where the patch's voxels lie in the region, and what is found there.

In: a region (C, z, y, x) as it was read, and the way from voxels of the patch to voxels of the region. Out: the patch.
Tensors may lie on any device.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from autoseg.image.geometry import Shape


@dataclass(frozen=True)
class Resampling:
    """Where in a region the voxels of a patch lie, over the n axes that are resampled; the others stay as they are.

    Args:
        axes: array axes (0 = z, 1 = y, 2 = x) that are resampled, ascending.
        matrix: matrix (n, n) that turns a step in voxels of the patch into a step in voxels of the region.
        start: position (n,) of the patch's first voxel in voxels of the region, before it is displaced.
        deformed: whether a displacement is added to these positions.
    """

    axes: tuple[int, ...]
    matrix: NDArray[np.float64]
    start: NDArray[np.float64]
    deformed: bool


def resample_region(
    region: torch.Tensor, resampling: Resampling, displacement: torch.Tensor | None, patch_size: Shape
) -> torch.Tensor:
    """The image (C, *patch_size) of a patch, linearly interpolated between the voxels of its region.

    Nothing here waits for a GPU.

    Args:
        region: intensities (C, z, y, x), float32; outside it is zero.
        resampling: positions of the patch's voxels in the region.
        displacement: displacement (n, *patch_size[axes]) in voxels of the region, on the same device; None = none.
        patch_size: shape (z, y, x) of the patch in voxels.
    """
    axes = resampling.axes
    along_grid = []
    for row, axis in enumerate(axes):
        # grid_sample counts from -1 at the first voxel's outer edge to 1 at the last one's
        voxels = 2 / region.shape[1 + axis]
        along = torch.full((), (resampling.start[row] + 0.5) * voxels - 1, dtype=torch.float32, device=region.device)
        for column, stepped in enumerate(axes):
            steps = torch.arange(patch_size[stepped], dtype=torch.float64, device=region.device)
            steps = (steps * (resampling.matrix[row, column] * voxels)).float()
            along = along + steps.reshape([-1 if column == other else 1 for other in range(len(axes))])
        along_grid.append(along if displacement is None else along + displacement[row] * voxels)
    # grid_sample wants the last array axis first
    return sample(region, torch.stack(along_grid[::-1], dim=-1), axes, "bilinear")


def sample(volume: torch.Tensor, grid: torch.Tensor, axes: tuple[int, ...], mode: str) -> torch.Tensor:
    """Resample (C, z, y, x) along `axes` at grid (*size[axes], n); the other axes count as channels.

    Args:
        volume: values, float32; outside they are zero.
        grid: positions as grid_sample wants them: from -1 to 1, and the last array axis first.
        axes: array axes (0 = z, 1 = y, 2 = x) that are resampled, ascending.
        mode: `bilinear` or `nearest`.
    """
    kept = [0, *(1 + a for a in range(3) if a not in axes)]
    order = [*kept, *(1 + a for a in axes)]
    moved = volume.permute(order).contiguous()
    size = moved.shape[len(kept) :]
    if len(size) == 1:
        # grid_sample knows two axes at least: the second has one voxel, and is sampled in its middle
        size = torch.Size((1, *size))
        grid = torch.stack((grid[..., 0], torch.zeros_like(grid[..., 0])), dim=-1)[None]
    flat = moved.reshape(1, -1, *size)
    sampled = F.grid_sample(flat, grid[None], mode=mode, padding_mode="zeros", align_corners=False)
    result = sampled.reshape(*moved.shape[: len(kept)], *grid.shape[-1 - len(axes) : -1])
    return result.permute([order.index(axis) for axis in range(4)]).contiguous()
