"""Fingerprints and records of data that benchmarks make themselves: equal cases, neither cropped nor resampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from autoseg.dataset.fingerprint import CaseFingerprint, ClassFingerprint, Fingerprint
from autoseg.image.geometry import IDENTITY, Geometry, Shape, Spacing
from autoseg.image.labels import Labels
from autoseg.plan.plan import ForegroundIntensity
from autoseg.run_folder.preprocessed_case import CaseRecord

STRAIGHT = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
"""Directions of array axes (z, y, x) that grow to superior, posterior and left."""


def fingerprint_of_equal_cases(
    dataset: str,
    shape: Shape,
    spacing: Spacing,
    *,
    cases: Sequence[str],
    channels: Sequence[str],
    foreground: Sequence[str],
    volume_mm3: float,
    intensity: ForegroundIntensity,
    modality: Literal["ct", "other"] = "other",
) -> Fingerprint:
    """The fingerprint of a data set whose cases are all equal, with one connected component of each class.

    Args:
        dataset: name of the data set.
        shape: shape (z, y, x) of each case in voxels.
        spacing: spacing (z, y, x) of each case in mm.
        cases: names of the cases.
        channels: names of the sequences.
        foreground: names of the classes, without background.
        volume_mm3: volume of each class in mm³.
        intensity: intensity statistics of each sequence.
        modality: modality of each sequence.
    """
    structure = ClassFingerprint(volume_mm3=volume_mm3, components_mm3=(volume_mm3,), centroid_x=0.5)
    fingerprints = tuple(
        CaseFingerprint(
            case=case,
            shape=shape,
            cropped_shape=shape,
            spacing=spacing,
            orientation="SPL",
            present=(True,) * len(channels),
            classes=dict.fromkeys(foreground, structure),
        )
        for case in cases
    )
    return Fingerprint(
        dataset=dataset,
        channels=tuple(channels),
        modality=(modality,) * len(channels),
        labels=Labels(values=tuple(range(len(foreground) + 1)), names=("background", *foreground)),
        intensities=(intensity,) * len(channels),
        median_relative_size_after_crop=1.0,
        cases=fingerprints,
    )


def record_as_stored(case: str, shape: Shape, channels: int) -> CaseRecord:
    """The record of a case of 1 mm that preprocessing left as it is.

    Args:
        case: name of the case.
        shape: shape (z, y, x) of the case in voxels.
        channels: number of sequences, all of them present.
    """
    return CaseRecord(
        case=case,
        stored=Geometry(shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), STRAIGHT),
        reorientation=IDENTITY,
        crop_lower=(0, 0, 0),
        crop_upper=shape,
        spacing=(1.0, 1.0, 1.0),
        shape=shape,
        present=(True,) * channels,
    )
