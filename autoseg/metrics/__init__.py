"""Voxel, surface and lesion metrics of two label maps, and their summary over cases.

In: reference and prediction, two label maps (z, y, x) on one grid. Out: one `CaseMetrics` for each
foreground class, and from many of them a `Summary`. Every definition, also for empty classes, is stated beside the
function that computes it and, for readers, in `docs/metrics.md`. `None` always means "not defined here"; it is never
counted as a number.
"""

from autoseg.metrics.aggregate import NOT_STATED, by_case, by_class, mean_dice, summarize
from autoseg.metrics.case import CaseMetrics, case_metrics
from autoseg.metrics.lesions import BIN_EDGES_MM, Lesion, LesionMatch, f_beta, match_lesions
from autoseg.metrics.summary import Summary
from autoseg.metrics.surface import TOLERANCE_MM, SurfaceMetrics, surface_metrics
from autoseg.metrics.voxel import Counts, count_voxels

__all__ = [
    "BIN_EDGES_MM",
    "NOT_STATED",
    "TOLERANCE_MM",
    "CaseMetrics",
    "Counts",
    "Lesion",
    "LesionMatch",
    "Summary",
    "SurfaceMetrics",
    "by_case",
    "by_class",
    "case_metrics",
    "count_voxels",
    "f_beta",
    "match_lesions",
    "mean_dice",
    "summarize",
    "surface_metrics",
]
