"""Checks every case of a data set, in parallel, and reports all problems at once. Nothing is written."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoseg.dataset.case import Case, Dataset
from autoseg.dataset.ct_channels import looks_like_ct
from autoseg.dataset.disk_space import is_small
from autoseg.dataset.findings import Findings
from autoseg.dataset.pictures import sizes_differ, told_together
from autoseg.dataset.voxels import read_channels, read_label_map
from autoseg.errors import DatasetError
from autoseg.image.annotated_classes import known_by_none, not_annotated
from autoseg.image.file_kind import why_unreadable
from autoseg.image.flat.read import SpacingSource
from autoseg.image.geometry import Geometry, to_canonical
from autoseg.image.labels import IGNORE, Labels
from autoseg.image.resampled_size import resampled_voxels, why_impossible
from autoseg.machine.map_cases import map_cases
from autoseg.names import listed

USUAL_FOLDS = 5

_LARGEST_LABEL, _MOST_LABELS, _SAMPLED, _NAMED = 255, 12, 200_000, 3
_PLANES = ("axial", "coronal", "sagittal")
# structures of fewer voxels than these may be the same by chance
_LEAST_SAME = 50


@dataclass(frozen=True)
class CheckedCase:
    """Facts of one case, read from its files.

    Args:
        name: name of the case.
        geometry: stored geometry of the first present channel.
        present: for each channel whether the sequence was acquired.
        voxels: number of voxels of each class in the label map, by class name; background and ignored ones included.
        like_ct: for each channel whether its image is CT by DICOM, or its values look like it where it is no DICOM.
        like_labels: for each channel whether its image has a few small whole numbers alone, as a label map has.
        sized_by: where the size of a picture's pixels comes from; empty for images with a place in a patient.
    """

    name: str
    geometry: Geometry
    present: tuple[bool, ...]
    voxels: Mapping[str, int]
    like_ct: tuple[bool, ...]
    like_labels: tuple[bool, ...]
    sized_by: SpacingSource = ""


@dataclass(frozen=True)
class Check:
    """Result of the check of a data set without problems.

    Args:
        warnings: unusual facts, one sentence each.
        cases: facts of each case, in the data set's order.
    """

    warnings: tuple[str, ...]
    cases: tuple[CheckedCase, ...]


@dataclass(frozen=True)
class _Result:
    """Result of the check of one case; `digest` is a hash of the image's voxels, `label_digest` of the label's."""

    row: CheckedCase | None
    digest: bytes
    label_digest: bytes
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    done: tuple[tuple[Path, str], ...]


def check_dataset(dataset: Dataset, *, workers: int) -> Check:
    """Read every file of a data set and report all problems together.

    Args:
        dataset: data set from `read_dataset`.
        workers: number of processes, each of which holds one case in memory.

    Raises:
        DatasetError: there are problems; all are listed, by case: missing, unreadable or truncated files, wrong
            numbers of channels, NaN, infinite or constant images, channels that do not overlap,
            spacings that are far from those of the other cases,
            labels on another grid or with fractional or undeclared values, or with classes that were not annotated,
            duplicates, too few cases, a class or region that no case knows as a whole,
            no foreground to learn from.
    """
    results = map_cases(
        partial(_check_case, labels=dataset.labels),
        dataset.cases,
        workers,
        "Checking cases",
        name=lambda case: case.name,
        small=is_small(dataset.cases),
    )
    problems = [*dataset.problems, *_too_few(dataset), *_known_by_none(dataset)]
    problems += [problem for result in results for problem in result.problems]
    rows = tuple(result.row for result in results if result.row is not None)
    problems += sizes_differ([(row.name, row.sized_by) for row in rows]) or _impossible_sizes(rows)
    problems += _planes_differ(rows)
    # classes and sequences that seem to be missing may be in cases that could not be read: those come first
    if problems := problems or _nothing_to_learn(dataset, rows):
        raise DatasetError(problems)
    warnings = [*dataset.warnings, *_few(dataset)]
    warnings += [warning for result in results for warning in result.warnings]
    warnings += told_together([one for result in results for one in result.done])
    warnings += _absent_classes(dataset.labels, rows)
    warnings += _channels_of_labels(dataset.channels, rows)
    warnings += _lost_labels(dataset.labels, rows)
    warnings += _slices_and_volumes(rows)
    warnings += _same_voxels(dataset.cases, [result.digest for result in results])
    warnings += _same_labels(dataset.cases, results)
    return Check(tuple(warnings), rows)


def _check_case(case: Case, labels: Labels) -> _Result:
    findings = Findings(case.name, problems=[f"{case.name}: {problem}" for problem in case.problems])
    case = _without_missing(case)
    image = read_channels(case, findings) if any(case.present) else None
    label = None
    if case.label is not None:
        label = read_label_map(case.label, labels, image, findings)
    row, digest, label_digest = None, b"", b""
    if image is not None and label is not None:
        names = dict(zip(labels.file_values, (*labels.names, IGNORE), strict=False))
        voxels = {names[int(value)]: count for value, count in label.counts.items()}
        _tell_not_annotated(case, labels, voxels, findings)
        like_ct = tuple(
            findings.modalities[i] == "CT" if i in findings.modalities else looks_like_ct(volume)
            for i, volume in enumerate(image.array)
        )
        like_labels = tuple(map(_looks_like_labels, image.array))
        row = CheckedCase(case.name, image.geometry, case.present, voxels, like_ct, like_labels, image.sized_by)
        digest, label_digest = (
            hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).digest()
            for array in (image.array, label.array)
        )
    return _Result(row, digest, label_digest, tuple(findings.problems), tuple(findings.warnings), tuple(findings.done))


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


def _too_few(dataset: Dataset) -> list[str]:
    count = len(dataset.cases)
    if count < 2:
        return [f"{dataset.name}: has {count} case{'s'[count:]}; cross-validation needs two at least"]
    patients = {case.patient for case in dataset.cases}
    if len(patients) == 1 and None not in patients:
        return [f"{dataset.name}: all {count} cases are of patient {patients.pop()}; cross-validation needs two"]
    return []


def _known_by_none(dataset: Dataset) -> list[str]:
    """Problems: classes or regions that nobody looked for in any case, so that nothing tells where they are not."""
    if not dataset.cases:
        return []
    count, of_regions = len(dataset.cases), "all labels of " if dataset.labels.overlapping else ""
    return [
        f"{dataset.name}: the table's column `annotated` names {of_regions}{name} for none of the {count} cases, so "
        f"nothing tells where {name} is not; fill the cells of cases in which it was looked for (an empty cell means "
        "all classes), or leave it out of `labels` in dataset.json"
        for name in known_by_none(dataset.labels, [case.annotated for case in dataset.cases])
    ]


def _few(dataset: Dataset) -> list[str]:
    groups = {case.patient or f"\0{case.name}" for case in dataset.cases}
    if len(groups) >= USUAL_FOLDS:
        return []
    of = "cases" if len(groups) == len(dataset.cases) else "patients"
    return [f"{dataset.name}: only {len(groups)} {of}, so {len(groups)} folds instead of {USUAL_FOLDS}"]


def _impossible_sizes(rows: tuple[CheckedCase, ...]) -> list[str]:
    """Problems of cases whose spacing is so far from the others' that no resampling brings them together."""
    if not rows:
        return []
    turned = [to_canonical(row.geometry).apply_to_geometry(row.geometry) for row in rows]
    z, y, x = np.median([geometry.spacing for geometry in turned], axis=0).tolist()
    expected = float(np.median([resampled_voxels(geometry, (z, y, x)) for geometry in turned]))
    reasons = [why_impossible(geometry, (z, y, x), expected) for geometry in turned]
    return [f"{row.name}: {reason}, or leave the case out" for row, reason in zip(rows, reasons, strict=True) if reason]


def _nothing_to_learn(dataset: Dataset, rows: tuple[CheckedCase, ...]) -> list[str]:
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


def _absent_classes(labels: Labels, rows: tuple[CheckedCase, ...]) -> list[str]:
    found = {name for row in rows for name, count in row.voxels.items() if count}
    return [
        f"label {name} ({value}) is declared, but no case has it; it cannot be learned"
        for value, name in zip(labels.values, labels.names, strict=True)
        if name not in found and value != labels.values[0]
    ]


def _looks_like_labels(volume: NDArray[np.float32]) -> bool:
    if float(volume.max()) > _LARGEST_LABEL or float(volume.min()) < 0:
        return False
    values = np.unique(volume.ravel()[:: max(1, volume.size // _SAMPLED)])
    return 1 < len(values) <= _MOST_LABELS and bool((np.rint(values) == values).all())


def _channels_of_labels(channels: tuple[str, ...], rows: tuple[CheckedCase, ...]) -> list[str]:
    """Warnings about channels that may be annotations: with one among its inputs a network has nothing to learn."""
    alike = [sum(row.like_labels[i] for row in rows) for i in range(len(channels))]
    return [
        f"channel {name} looks like a label map: {count} of {len(rows)} images hold a few small whole numbers alone. "
        "Is it an annotation? Then leave it out"
        for name, count in zip(channels, alike, strict=True)
        if count
    ]


def _lost_labels(labels: Labels, rows: tuple[CheckedCase, ...]) -> list[str]:
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


def _slices_and_volumes(rows: tuple[CheckedCase, ...]) -> list[str]:
    """A warning about images of one slice beside volumes: what most images are decides what is planned."""
    flat = [row.name for row in rows if 1 in row.geometry.shape]
    if not 0 < len(flat) < len(rows):
        return []
    return [
        f"{len(flat)} of {len(rows)} images have one slice ({listed(flat, _NAMED)}), the others are volumes; the plan "
        "follows from what most are"
    ]


def _planes_differ(rows: tuple[CheckedCase, ...]) -> list[str]:
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


def _same_labels(cases: tuple[Case, ...], results: Sequence[_Result]) -> list[str]:
    """A warning about identical label maps of different patients: a file may have been copied to a wrong name."""
    groups: defaultdict[bytes, list[tuple[Case, _Result]]] = defaultdict(list)
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


def _same_voxels(cases: tuple[Case, ...], digests: list[bytes]) -> list[str]:
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
