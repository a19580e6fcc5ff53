"""Decide to which part of an image training and prediction are limited: where foreground lies in the training cases.

In: the fingerprint, with a box around the body and one around the foreground of every case, and the folds. Out: a
`Region` and its reason. nnU-Net sees whole images, so the reference plan has no region; with a time budget, what is
saved outside of it is spent on patch, features or steps inside.

The ends of the region are those of all cases' foreground, as shares of a frame, plus a margin: the largest distance by
which foreground of a fold's validation cases lies outside the ends of the fold's training cases. So a region that is
learned from a fold's training cases, and widened by this margin, holds the foreground of its validation cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from autoseg.dataset.fingerprint import CaseFingerprint, Fingerprint, has_boxes
from autoseg.image.annotated_classes import EVERY
from autoseg.image.geometry import Corners, Shape
from autoseg.plan.decision import Decision
from autoseg.plan.region import Region
from autoseg.run_folder.splits import Split

LEAST_CASES = 10
"""Fewer cases with foreground do not tell where it can lie."""

MARGIN_MM = 10.0
"""Surroundings in mm that the network sees beside foreground at the border of the region."""

LARGEST_SHARE = 0.7
"""A region is planned where it holds at most this share of the images' voxels."""

Frame = Literal["body", "image"]


@dataclass(frozen=True)
class _Ends:
    """Where the foreground of each case lies, as shares of the case's frame.

    Args:
        names: names of the cases.
        lower, upper: ends (case, axis) along (z, y, x).
    """

    names: tuple[str, ...]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def learn_region(fingerprint: Fingerprint, splits: Sequence[Split]) -> Decision[Region | None]:
    """The region of a data set, in the frame in which it is smaller; None where it would save little.

    Args:
        fingerprint: fingerprint with boxes of the body and the foreground.
        splits: the folds of cross-validation.
    """
    if fingerprint.labels.ignore is not None:
        return Decision(None, "whole images: how far foreground reaches is not known where voxels are not annotated")
    if (part := sum(case.annotated != EVERY for case in fingerprint.cases)) > 0:
        why = f"how far foreground reaches is not known in the {part} cases in which not all classes were annotated"
        return Decision(None, f"whole images: {why}")
    if not has_boxes(fingerprint):
        return Decision(None, "whole images: the fingerprint is of an earlier release, and tells of no region")
    cases = [case for case in fingerprint.cases if case.foreground is not None]
    if len(cases) < LEAST_CASES:
        return Decision(None, f"whole images: {len(cases)} cases have foreground, and {LEAST_CASES} are needed")
    found = [region for frame in ("body", "image") if (region := _region(fingerprint, cases, splits, frame))]
    if not found:
        return Decision(None, "whole images: foreground lies too far outside of bodies and images for a region")
    share, region = min(((_share(one, fingerprint), one) for one in found), key=lambda shared: shared[0])
    if share > LARGEST_SHARE:
        return Decision(None, f"whole images: foreground lies in {share:.0%} of them")
    return Decision(
        region,
        f"{region.text}: {share:.0%} of the images; there lies the foreground of {len(cases)} cases, and as much more "
        "as cross-validation missed at most",
    )


def within(fingerprint: Fingerprint, region: Region | None) -> Fingerprint:
    """The fingerprint as if the images were cropped to the region; a case without a known frame stays as it is."""
    if region is None:
        return fingerprint
    return fingerprint.changed(
        cases=tuple(case.changed(cropped_shape=_cropped_shape(case, region)) for case in fingerprint.cases)
    )


def _region(
    fingerprint: Fingerprint, cases: Sequence[CaseFingerprint], splits: Sequence[Split], frame: Frame
) -> Region | None:
    """The region in a frame; None where its ends are beyond what a region can have.

    Args:
        fingerprint: fingerprint of all cases, whose frames are known ones.
        cases: those of its cases that have foreground, which the region has to hold.
        splits: the folds of cross-validation.
        frame: what the ends are shares of.
    """
    ends = _ends(cases, frame)
    lower, upper = ends.lower.min(axis=0), ends.upper.max(axis=0)
    for split in splits:
        trained = np.isin(ends.names, split.train)
        if trained.any() and not trained.all():
            lower = np.minimum(lower, _lowered(ends.lower, trained))
            upper = np.maximum(upper, -_lowered(-ends.upper, trained))
    lengths = np.array([_lengths_mm(case, frame) for case in fingerprint.cases])
    try:
        return Region(
            frame=frame,
            lower=_triple(lower),
            upper=_triple(upper),
            margin_mm=MARGIN_MM,
            shortest_mm=_triple(lengths.min(axis=0)),
            longest_mm=_triple(lengths.max(axis=0)),
        )
    except ValidationError:
        return None


def _lowered(ends: NDArray[np.float64], trained: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The lowest of lower ends (case, axis), less what a fold's validation cases lie below its training cases.

    Upper ends are handed in, and come back, with the other sign.
    """
    missed = ends[trained].min(axis=0) - ends[~trained].min(axis=0)
    return np.asarray(ends.min(axis=0) - np.maximum(missed, 0))


def _ends(cases: Sequence[CaseFingerprint], frame: Frame) -> _Ends:
    lower, upper = [], []
    for case in cases:
        assert case.foreground is not None
        start, end = (np.array(corner, dtype=float) for corner in _frame(case, frame))
        lower.append((np.array(case.foreground[0]) - start) / (end - start))
        upper.append((np.array(case.foreground[1]) - start) / (end - start))
    return _Ends(tuple(case.case for case in cases), np.array(lower), np.array(upper))


def _frame(case: CaseFingerprint, frame: Frame) -> Corners:
    return case.body if frame == "body" and case.body is not None else ((0, 0, 0), case.shape)


def _lengths_mm(case: CaseFingerprint, frame: Frame) -> NDArray[np.float64]:
    lower, upper = _frame(case, frame)
    return (np.array(upper) - np.array(lower)) * np.array(case.spacing)


def _cropped_shape(case: CaseFingerprint, region: Region) -> Shape:
    """Shape (z, y, x) of a case after the crop to non-zero and to the region."""
    if region.frame == "body" and case.body is None:
        return case.cropped_shape
    lower, upper = region.box(_frame(case, region.frame), case.shape, case.spacing)
    z, y, x = (min(b - a, n) for a, b, n in zip(lower, upper, case.cropped_shape, strict=True))
    return z, y, x


def _share(region: Region, fingerprint: Fingerprint) -> float:
    """Mean share of the voxels, after the crop to non-zero, that lies in the region."""
    cases = fingerprint.cases
    return float(np.mean([math.prod(_cropped_shape(case, region)) / math.prod(case.cropped_shape) for case in cases]))


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    z, y, x = (round(float(value), 4) for value in values)
    return z, y, x
