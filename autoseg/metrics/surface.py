"""Metrics of surfaces, in mm: 95th percentile of the Hausdorff distance, normalised surface Dice.

Computed by MONAI (`monai.metrics`). HD95 is the larger of the two directed 95th percentiles of the
distances from each boundary voxel to the nearest boundary voxel of the other mask; a boundary voxel
has a face neighbour outside the mask. Surface Dice is the share of both surfaces that lies within a
tolerance of the other (Nikolov et al., J Med Internet Res 2021), each piece weighted by its area in
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
        hd95_mm: None where either mask is empty: no distance exists.
        surface_dice: None where both are empty, 0 where one is.
    """

    hd95_mm: float | None
    surface_dice: float | None


def surface_metrics(
    reference: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    spacing: Spacing,
    tolerance_mm: float = TOLERANCE_MM,
) -> SurfaceMetrics:
    """Surface metrics of two masks; outside of the arrays counts as outside of the masks.

    Args:
        reference: (z, y, x).
        prediction: (z, y, x).
        spacing: mm (z, y, x).
        tolerance_mm: distance at which two surfaces still agree, for the surface Dice.
    """
    present = bool(reference.any()), bool(prediction.any())
    if not all(present):
        return SurfaceMetrics(None, 0.0 if any(present) else None)
    # imported here: MONAI takes seconds to import, and torch with it
    import torch
    from monai.metrics.hausdorff_distance import compute_hausdorff_distance
    from monai.metrics.surface_dice import compute_surface_dice

    # MONAI takes (batch, class, z, y, x)
    truth, guess = (torch.from_numpy(np.ascontiguousarray(mask))[None, None] for mask in (reference, prediction))
    with warnings.catch_warnings():
        # MONAI warns of an argument that it passes to itself
        warnings.filterwarnings("ignore", category=FutureWarning, module="monai")
        hd95 = compute_hausdorff_distance(guess, truth, include_background=True, percentile=95, spacing=list(spacing))
        dice = compute_surface_dice(
            guess, truth, [tolerance_mm], include_background=True, spacing=list(spacing), use_subvoxels=True
        )
    return SurfaceMetrics(float(hd95), float(dice))
