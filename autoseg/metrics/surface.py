"""Surface metrics: 95th percentile of the Hausdorff distance (HD95, in mm) and normalised surface Dice.

MONAI (`monai.metrics`) computes them. HD95 is the larger of the two directed 95th percentiles of the
distances from each boundary voxel to the nearest boundary voxel of the other mask; a boundary voxel
has a face neighbour outside the mask. Surface Dice is the fraction of both surfaces that lies within a
tolerance of the other (Nikolov et al., J Med Internet Res 2021). Each surface element is weighted by its area in
mm², so that anisotropic voxels do not distort it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoseg.image.geometry import Spacing

TOLERANCE_MM = 2.0


@dataclass(frozen=True)
class SurfaceMetrics:
    """Surface metrics of one class in one case.

    Args:
        hd95_mm: HD95 in mm; None where either mask is empty, since no distance exists.
        surface_dice: surface Dice; None where both masks are empty, 0 where only one is.
    """

    hd95_mm: float | None
    surface_dice: float | None


def surface_metrics(
    reference: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    spacing: Spacing,
    tolerance_mm: float = TOLERANCE_MM,
    flat_axis: int | None = None,
) -> SurfaceMetrics:
    """Compute the surface metrics of two masks; outside of the arrays counts as outside of the masks.

    In an image of one slice the surface is the outline in its plane; in space every voxel would lie on the surface.

    Args:
        reference: reference mask (z, y, x).
        prediction: predicted mask (z, y, x).
        spacing: spacing (z, y, x) in mm.
        tolerance_mm: distance in mm up to which surfaces agree, for the surface Dice.
        flat_axis: axis (0 = z, 1 = y, 2 = x) along which the image has a single voxel; None = it is a volume.
    """
    present = bool(reference.any()), bool(prediction.any())
    if not all(present):
        # the arrays may be of no voxel, and then have no axis to leave out
        return SurfaceMetrics(None, 0.0 if any(present) else None)
    if flat_axis is not None:
        reference, prediction = (mask.squeeze(flat_axis) for mask in (reference, prediction))
    lengths = [mm for axis, mm in enumerate(spacing) if axis != flat_axis]
    # imported here, since MONAI and torch take seconds to import
    import torch
    from monai.metrics.hausdorff_distance import compute_hausdorff_distance
    from monai.metrics.surface_dice import compute_surface_dice

    # MONAI takes (batch, class, z, y, x), or without one axis
    truth, guess = (torch.from_numpy(np.ascontiguousarray(mask))[None, None] for mask in (reference, prediction))
    with warnings.catch_warnings():
        # MONAI warns about a deprecated argument that its own code passes
        warnings.filterwarnings("ignore", category=FutureWarning, module="monai")
        hd95 = compute_hausdorff_distance(guess, truth, include_background=True, percentile=95, spacing=lengths)
        dice = compute_surface_dice(
            guess, truth, [tolerance_mm], include_background=True, spacing=lengths, use_subvoxels=True
        )
    return SurfaceMetrics(float(hd95), float(dice))
