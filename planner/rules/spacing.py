"""Decide target spacing, axis order and median shape: the resolution to which cases are resampled.

In: the fingerprint. Out: decisions with their reasons. Array axes are (z, y, x), spacing is in mm. The rules are
nnU-Net's (Isensee et al., Nature Methods 2021, supplement "Target spacing"; where text and release 2.8.1 differ, the
release).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.image.geometry import Spacing
from autoseg.plan.decision import Decision
from autoseg.preprocessing.resample import new_shape_for

AXIS = ("z", "y", "x")

ANISOTROPY = 3.0
"""An axis is coarse if its spacing is more than this many times that of the next coarsest axis."""

COARSE_PERCENTILE = 10
"""Percentile of the spacings that replaces the median along a coarse axis."""

COARSENING = 1.03
"""Factor between two candidates in the search for the spacing of `3d_lowres`."""


def target_spacing(fingerprint: Fingerprint) -> Decision[Spacing]:
    """Spacing in mm, (z, y, x), that every case is resampled to.

    It is the median over the cases, axis by axis. Along an axis that is both much coarser and much shorter than the
    others it is the 10th percentile, so that thin slices keep their detail; the axis stays coarser than the others.
    """
    spacings = np.array([case.spacing for case in fingerprint.cases])
    median = np.percentile(spacings, 50, axis=0)
    coarse = coarse_axis(median, np.percentile(_cropped_shapes(fingerprint), 50, axis=0))
    if coarse is None:
        return Decision(_three(median), f"the median over {len(spacings)} cases")
    finer = float(np.percentile(spacings[:, coarse], COARSE_PERCENTILE))
    others = float(np.delete(median, coarse).max())
    if finer < others:
        finer = others + 1e-5
    spacing = median.copy()
    spacing[coarse] = finer
    return Decision(
        _three(spacing),
        f"the median over {len(spacings)} cases; {AXIS[coarse]} is coarse and short (median "
        f"{median[coarse]:.3g} mm, the others up to {others:.3g} mm): there the {COARSE_PERCENTILE}th percentile",
    )


def coarse_axis(spacing: NDArray[np.float64], shape: NDArray[np.float64]) -> int | None:
    """The axis whose spacing is over three times the others' and whose length is under a third of theirs, or None.

    Args:
        spacing: median spacing in mm (z, y, x).
        shape: median shape in voxels (z, y, x).
    """
    axis = int(np.argmax(spacing))
    much_coarser = spacing[axis] > ANISOTROPY * np.delete(spacing, axis).max()
    much_shorter = shape[axis] * ANISOTROPY < np.delete(shape, axis).min()
    return axis if much_coarser and much_shorter else None


def axis_order(spacing: Spacing, median_shape: Spacing) -> Decision[tuple[int, int, int]]:
    """The order of array axes used for planning: the coarsest axis first, then the others in array order.

    An axis along which the median case has a single voxel comes before all others, whatever its spacing, so that a 2D
    network sees the plane of the images. Of equally coarse axes the first one counts. The order matters, because it
    decides ties between axes.

    Args:
        spacing: target spacing in mm (z, y, x).
        median_shape: voxels (z, y, x) of the median case at this spacing.
    """
    flat = [axis for axis in range(3) if median_shape[axis] == 1]
    coarsest = max(flat or range(3), key=lambda axis: spacing[axis])
    first, *others = (coarsest, *(axis for axis in range(3) if axis != coarsest))
    why = "the axis of one voxel first" if flat else "the coarsest axis first"
    return Decision((first, others[0], others[1]), f"{why}: {AXIS[coarsest]}, {spacing[coarsest]:.3g} mm")


def median_shape(fingerprint: Fingerprint, spacing: Spacing) -> Spacing:
    """Median shape in voxels (z, y, x), axis by axis, over the cases resampled to `spacing`."""
    shapes = [new_shape_for(case.cropped_shape, case.spacing, spacing) for case in fingerprint.cases]
    return _three(np.median(shapes, axis=0))


def coarser_spacing(spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """The next spacing that is tried for `3d_lowres`: 3 % coarser.

    If some axes are more than twice as fine as the coarsest, only these axes become coarser.

    Args:
        spacing: spacing in mm of each axis, axes in any order.
    """
    fine = spacing.max() / spacing > 2
    return np.where(fine | ~fine.any(), spacing * COARSENING, spacing)


def _cropped_shapes(fingerprint: Fingerprint) -> NDArray[np.int64]:
    return np.array([case.cropped_shape for case in fingerprint.cases])


def _three(values: NDArray[np.float64]) -> Spacing:
    return float(values[0]), float(values[1]), float(values[2])
