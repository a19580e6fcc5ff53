"""How much of a case is annotated, before and after it is resampled: thin annotations get lost in coarse voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import DatasetError
from autoseg.image.geometry import Spacing
from autoseg.image.labels import Labels
from autoseg.image.resampled_size import in_mm

LEAST_KEPT = 0.5
"""Where less of the annotated share is left, that is told."""


def annotated_share(label: NDArray[np.uint8], labels: Labels) -> float:
    """Share of the voxels of a label map (z, y, x) that are annotated; 1 where the data set has no ignored voxels."""
    annotated = labels.annotated(label)
    return 1.0 if annotated is None else float(annotated.mean())


def note_on_lost(case: str, before: float, after: float, spacing: Spacing) -> tuple[str, ...]:
    """A sentence on annotated voxels that were lost when a case was resampled, or none.

    Args:
        case: name of the case.
        before: share of its voxels that are annotated in its files.
        after: the same at the plan's spacing.
        spacing: spacing (z, y, x) of the plan in mm.

    Raises:
        DatasetError: none is left.
    """
    if after >= LEAST_KEPT * before:
        return ()
    told = f"{case}: {before:.2%} of its voxels are annotated, and at the plan's spacing ({in_mm(spacing)})"
    cure = "give more time, or a finer spacing in plan.yaml, or annotate whole slices or thicker strokes"
    if after == 0:
        raise DatasetError(
            [f"{told} none: what is annotated is thinner than these voxels; {cure}, or leave the case out"]
        )
    return (f"{told} {after:.2%}: annotated parts that are thinner than these voxels get lost; {cure}",)
