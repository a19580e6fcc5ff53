"""What is wrong or unusual only when the cases of a data set are compared; one sentence for each problem or warning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from autoseg.dataset.case import Case, Dataset
from autoseg.dataset.check_case import CaseResult, CheckedCase
from autoseg.image.geometry import to_canonical
from autoseg.image.labels import IGNORE, Labels
from autoseg.image.resampled_size import resampled_voxels, why_impossible
from autoseg.names import listed

_NAMED = 3
_PLANES = ("axial", "coronal", "sagittal")
# structures of fewer voxels than these may be the same by chance
_LEAST_SAME = 50


def impossible_sizes(rows: tuple[CheckedCase, ...]) -> list[str]:
    """Problems of cases whose spacing is so far from the others' that no resampling brings them together."""
    if not rows:
        return []
    turned = [to_canonical(row.geometry).apply_to_geometry(row.geometry) for row in rows]
    z, y, x = np.median([geometry.spacing for geometry in turned], axis=0).tolist()
    expected = float(np.median([resampled_voxels(geometry, (z, y, x)) for geometry in turned]))
    reasons = [why_impossible(geometry, (z, y, x), expected) for geometry in turned]
    return [f"{row.name}: {reason}, or leave the case out" for row, reason in zip(rows, reasons, strict=True) if reason]


def nothing_to_learn(dataset: Dataset, rows: tuple[CheckedCase, ...]) -> list[str]:
    """Problems: all label maps are empty, or no case with foreground has a certain sequence."""
    background = dataset.labels.names[0]
    annotated = [row for row in rows if any(n for name, n in row.voxels.items() if name not in (background, IGNORE))]
    if not annotated:
        return [f"{dataset.name}: every label is empty; there is nothing to learn"]
    return [
        f"{dataset.name}: no case with foreground has the sequence {channel}; add some, or leave the sequence out"
        for i, channel in enumerate(dataset.channels)
        if not any(row.present[i] for row in annotated)
    ]


def absent_classes(labels: Labels, rows: tuple[CheckedCase, ...]) -> list[str]:
    """Warnings about declared classes that no case has."""
    found = {name for row in rows for name, count in row.voxels.items() if count}
    return [
        f"label {name} ({value}) is declared, but no case has it; it cannot be learned"
        for value, name in zip(labels.values, labels.names, strict=True)
        if name not in found and value != labels.values[0]
    ]


def channels_of_labels(channels: tuple[str, ...], rows: tuple[CheckedCase, ...]) -> list[str]:
    """Warnings about channels that may be annotations: with one among its inputs a network has nothing to learn."""
    alike = [sum(row.like_labels[i] for row in rows) for i in range(len(channels))]
    return [
        f"channel {name} looks like a label map: {count} of {len(rows)} images hold a few small whole numbers alone. "
        "Is it an annotation? Then leave it out"
        for name, count in zip(channels, alike, strict=True)
        if count
    ]


def lost_labels(labels: Labels, rows: tuple[CheckedCase, ...]) -> list[str]:
    """Warnings about labels that the given order of the regions does not give back."""
    names, told = dict(zip(labels.values, labels.names, strict=True)), []
    for value, other in labels.lost().items():
        counts = [row.voxels.get(names[value], 0) for row in rows]
        if total := sum(counts):
            cases = sum(count > 0 for count in counts)
            told.append(
                f"label {value}, which {cases} cases have ({total:,} voxels), becomes {other} in predictions by the "
                f"order of the regions ({', '.join(region.name for region in labels.regions)}); if this is not meant, "
                "declare larger regions first, or a region for this label alone"
            )
    return told


def slices_and_volumes(rows: tuple[CheckedCase, ...]) -> list[str]:
    """A warning about images of one slice beside volumes: what most images are decides what is planned."""
    flat = [row.name for row in rows if 1 in row.geometry.shape]
    if not 0 < len(flat) < len(rows):
        return []
    return [
        f"{len(flat)} of {len(rows)} images have one slice ({listed(flat, _NAMED)}), the others are volumes; the plan "
        "follows from what most are"
    ]


def planes_differ(rows: tuple[CheckedCase, ...]) -> list[str]:
    """A problem where most images are of one slice and lie in different planes, in which one network cannot see."""
    planes: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        shape = to_canonical(row.geometry).apply_to_geometry(row.geometry).shape
        if shape.count(1) == 1:
            planes[_PLANES[shape.index(1)]].append(row.name)
    # beside volumes a slice is a thin volume, whose plane does not matter
    if len(planes) < 2 or 2 * sum(map(len, planes.values())) <= len(rows):
        return []
    told = "; ".join(f"{plane}: {len(names)} ({listed(names, _NAMED)})" for plane, names in planes.items())
    return [
        f"images of one slice lie in {len(planes)} planes, {told}; make a data set of each plane. Oblique slices "
        "count to the nearest plane: where all show the same view, give each image and its label map straight "
        "directions (SimpleITK: SetDirection with the identity), or save both as PNG"
    ]


def same_voxels(cases: tuple[Case, ...], digests: list[bytes]) -> list[str]:
    """Warnings about identical images: in different folds they make cross-validation too favourable."""
    groups: defaultdict[bytes, list[Case]] = defaultdict(list)
    for case, digest in zip(cases, digests, strict=True):
        groups[digest].append(case)
    return [
        f"{', '.join(case.name for case in same)}: their images are identical, voxel by voxel; if they fall into "
        "different folds, cross-validation is too favourable. Keep one, or give them one patient in a table"
        for same in groups.values()
        if len(same) > 1 and len({case.patient or f"\0{case.name}" for case in same}) > 1
    ]


def same_labels(cases: tuple[Case, ...], results: Sequence[CaseResult]) -> list[str]:
    """A warning about identical label maps of different patients: a file may have been copied to a wrong name."""
    groups: defaultdict[bytes, list[tuple[Case, CaseResult]]] = defaultdict(list)
    for case, result in zip(cases, results, strict=True):
        if result.row is not None and sum(result.row.voxels.values()) - max(result.row.voxels.values()) >= _LEAST_SAME:
            groups[result.label_digest].append((case, result))
    # several images of a patient may share a label map
    found = [
        listed([case.name for case, _ in same], _NAMED)
        for same in groups.values()
        if len({result.digest for _, result in same}) > 1
        and len({case.patient or f"\0{case.name}" for case, _ in same}) > 1
    ]
    if not found:
        return []
    more = f", and {len(found) - _NAMED} more groups of cases" if len(found) > _NAMED else ""
    return [
        f"{'; '.join(found[:_NAMED])}{more}: their label maps are identical, voxel by voxel, and their images are not; "
        "was a label map copied to a wrong name? If they are of one patient, say so in a table's column `patient`"
    ]
