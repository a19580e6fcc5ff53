"""Checks one case of a data set: its files alone, and its label map beside its images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoseg.dataset.case import Case
from autoseg.dataset.ct_channels import looks_like_ct, reaches_air
from autoseg.dataset.findings import Findings
from autoseg.dataset.voxels import read_channels, read_label_map
from autoseg.image.annotated_classes import not_annotated
from autoseg.image.file_kind import why_unreadable
from autoseg.image.flat.read import SpacingSource
from autoseg.image.geometry import Geometry
from autoseg.image.labels import IGNORE, Labels

_LARGEST_LABEL, _MOST_LABELS, _SAMPLED = 255, 12, 200_000


@dataclass(frozen=True)
class CheckedCase:
    """Facts of one case, read from its files.

    Args:
        name: name of the case.
        geometry: stored geometry of the first present channel.
        present: for each channel whether the sequence was acquired.
        voxels: number of voxels of each class in the label map, by class name; background and ignored ones included.
        like_ct: for each channel whether its image is CT by DICOM, or its values look like it where it is no DICOM.
        reaches_air: for each channel whether the values of its image, which is no DICOM, go as low as air in a CT.
        like_labels: for each channel whether its image has a few small whole numbers alone, as a label map has.
        sized_by: where the size of a picture's pixels comes from; empty for images with a place in a patient.
    """

    name: str
    geometry: Geometry
    present: tuple[bool, ...]
    voxels: Mapping[str, int]
    like_ct: tuple[bool, ...]
    reaches_air: tuple[bool, ...]
    like_labels: tuple[bool, ...]
    sized_by: SpacingSource = ""


@dataclass(frozen=True)
class CaseResult:
    """Result of the check of one case.

    Args:
        row: facts of the case; None where its files cannot be used.
        digest: hash of the image's voxels; empty where there is no row.
        label_digest: hash of the label map's voxels; empty where there is no row.
        problems: what makes the case unusable, one sentence each.
        warnings: unusual facts, one sentence each.
        done: what was done to files so that they can be used: file, and what.
    """

    row: CheckedCase | None
    digest: bytes
    label_digest: bytes
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    done: tuple[tuple[Path, str], ...]


def check_case(case: Case, labels: Labels) -> CaseResult:
    """Read every file of a case.

    Args:
        case: case of the data set; the listing has reported files that are missing.
        labels: labels of the data set.
    """
    findings = Findings(case.name, problems=[f"{case.name}: {problem}" for problem in case.problems])
    case = _without_missing(case)
    image = read_channels(case, findings) if any(case.present) else None
    label = None
    if case.label is not None:
        label = read_label_map(case.label, labels, image, findings, case.images)
    row, digest, label_digest = None, b"", b""
    if image is not None and not case.colours:
        _tell_copies(case, image.array, findings)
    if image is not None and label is not None:
        names = dict(zip(labels.file_values, (*labels.names, IGNORE), strict=False))
        voxels = {names[int(value)]: count for value, count in label.counts.items()}
        _tell_not_annotated(case, labels, voxels, findings)
        like_ct = tuple(
            findings.modalities[i] == "CT" if i in findings.modalities else looks_like_ct(volume)
            for i, volume in enumerate(image.array)
        )
        low = tuple(i not in findings.modalities and reaches_air(volume) for i, volume in enumerate(image.array))
        like_labels = tuple(map(_looks_like_labels, image.array))
        row = CheckedCase(case.name, image.geometry, case.present, voxels, like_ct, low, like_labels, image.sized_by)
        digest, label_digest = (
            hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).digest()
            for array in (image.array, label.array)
        )
    return CaseResult(
        row, digest, label_digest, tuple(findings.problems), tuple(findings.warnings), tuple(findings.done)
    )


def _tell_copies(case: Case, array: NDArray[np.float32], findings: Findings) -> None:
    """Tell which sequences (channel, z, y, x) hold the same voxels, as where a file was copied to a wrong name."""
    for i, j in combinations((i for i, present in enumerate(case.present) if present), 2):
        if np.array_equal(array[i], array[j]):
            where = "" if case.several_channels_in_one_file else f" ({case.images[i]}, {case.images[j]})"
            findings.warn(f"sequences {i} and {j}{where} hold the same voxels: is one a copy under a wrong name?")


def _tell_not_annotated(case: Case, labels: Labels, voxels: Mapping[str, int], findings: Findings) -> None:
    """Tell as a problem each class that has voxels though the table says that nobody looked for it."""
    for index in not_annotated(labels, case.annotated):
        if count := voxels.get(name := labels.names[index], 0):
            findings.problem(
                f"label {case.label}: {count} voxels are {name}, which the table's column `annotated` does not name "
                "for this case; name it there if all of it is annotated, else erase these voxels"
            )


def _without_missing(case: Case) -> Case:
    """The case without files that do not exist or cannot be opened; the listing has reported them already."""
    images = tuple(image if image is not None and why_unreadable(image) is None else None for image in case.images)
    label = case.label if case.label is not None and why_unreadable(case.label) is None else None
    return replace(case, images=images, label=label)


def _looks_like_labels(volume: NDArray[np.float32]) -> bool:
    if float(volume.max()) > _LARGEST_LABEL or float(volume.min()) < 0:
        return False
    values = np.unique(volume.ravel()[:: max(1, volume.size // _SAMPLED)])
    return 1 < len(values) <= _MOST_LABELS and bool((np.rint(values) == values).all())
