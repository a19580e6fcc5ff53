"""Measure the fingerprint: the facts about a data set that the planner needs.

In: the training cases of a data set, which are read in parallel. Out: a `Fingerprint`. It holds shapes, spacings and
orientations; intensities of foreground voxels; the crop to non-zero; volume, connected components and left-right
position of every class; which sequences each case has, and how far they are displaced from each other. What nnU-Net
measures too is measured in the same way (Isensee et al., Nature Methods 2021; release 2.8.1).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autoseg.dataset.case import Case, Dataset
from autoseg.dataset.disk_space import is_small
from autoseg.dataset.fingerprint import CaseFingerprint, ClassFingerprint, Displacement, Fingerprint
from autoseg.dataset.grids import same_voxels
from autoseg.dataset.load import LoadedCase, load_case
from autoseg.errors import DatasetError
from autoseg.image.annotated_classes import EVERY, AnnotatedClasses, names_of_unknown
from autoseg.image.class_boxes import Slices, class_boxes
from autoseg.image.geometry import Geometry, closest_world_axes, slices_of
from autoseg.image.image import read_geometry
from autoseg.image.labels import Labels
from autoseg.machine.map_cases import map_cases, workers_within_memory
from autoseg.plan.plan import ForegroundIntensity
from autoseg.preprocessing.body import body_box
from autoseg.preprocessing.crop import box_of, labelled_box, nonzero_mask
from autoseg.preprocessing.sequence_movement import movements

Orientation = Literal["canonical", "as_stored"]
Box = tuple[slice, slice, slice]

SAMPLED_VOXELS = 10_000_000
"""Number of foreground voxels per channel, over the whole data set, from which intensity statistics are computed.

nnU-Net takes ten times as many. The difference in the percentiles is smaller than that of one case more or less.
"""

SEED = 1234


@dataclass(frozen=True)
class _Task:
    """What a worker needs to measure one case."""

    case: Case
    channels: tuple[str, ...]
    labels: Labels
    orientation: Orientation
    samples: int


@dataclass(frozen=True)
class _Measured:
    """The fingerprint of one case, and for each channel sampled intensities (n,) of its foreground voxels."""

    fingerprint: CaseFingerprint
    intensities: tuple[NDArray[np.float32], ...]


def measure_fingerprint(dataset: Dataset, *, workers: int, orientation: Orientation = "canonical") -> Fingerprint:
    """Measure the fingerprint of a data set.

    Args:
        dataset: data set whose training cases all have a label.
        workers: maximum number of cases measured at once; fewer are used where memory is short.
        orientation: orientation in which shapes and spacings are given; the plan must use the same.

    Raises:
        DatasetError: a case cannot be read or has no label, no case has foreground, or none of the cases with
            foreground has one of the sequences.
        WorkerDied: a case could not be processed, probably because memory was short.
    """
    unlabelled = [f"{case.name}: has no label and cannot be trained on" for case in dataset.cases if case.label is None]
    if unlabelled or not dataset.cases:
        raise DatasetError(unlabelled or [f"{dataset.name}: has no training cases"])
    samples = max(1, SAMPLED_VOXELS // len(dataset.cases))
    tasks = [_Task(case, dataset.channels, dataset.labels, orientation, samples) for case in dataset.cases]
    if workers > 1:
        workers = workers_within_memory(max(_bytes_needed(case) for case in dataset.cases), at_most=workers)
    measured = map_cases(
        _measure,
        tasks,
        workers,
        "Measuring the fingerprint",
        name=lambda task: task.case.name,
        small=is_small(dataset.cases),
    )
    cases = tuple(m.fingerprint for m in measured)
    return Fingerprint(
        dataset=dataset.name,
        channels=dataset.channels,
        modality=_modality(dataset),
        labels=dataset.labels,
        intensities=_intensities(dataset.channels, [m.intensities for m in measured]),
        median_relative_size_after_crop=float(
            np.median([math.prod(case.cropped_shape) / math.prod(case.shape) for case in cases])
        ),
        cases=cases,
        pixel_spacing=dataset.pixel_spacing,
    )


def _modality(dataset: Dataset) -> tuple[Literal["ct", "rgb", "other"], ...]:
    if all(case.colours for case in dataset.cases):
        return tuple("rgb" for _ in dataset.channels)
    return tuple("ct" if ct else "other" for ct in dataset.ct)


def measure_case(
    name: str, loaded: LoadedCase, crop: Box, labels: Labels, annotated: AnnotatedClasses = EVERY
) -> CaseFingerprint:
    """The fingerprint of one case, without the displacements of its sequences.

    Args:
        name: name of the case in the data set.
        loaded: the loaded case, with its label.
        crop: box (z, y, x) of the crop to non-zero voxels.
        labels: the classes of the data set.
        annotated: classes that were looked for in the label; of others nothing is known.
    """
    assert loaded.label is not None
    unknown = names_of_unknown(labels, annotated)
    measured = measure_classes(loaded.label, loaded.geometry, labels)
    z, y, x = loaded.label[crop].shape
    return CaseFingerprint(
        case=name,
        shape=loaded.geometry.shape,
        cropped_shape=(z, y, x),
        spacing=loaded.geometry.spacing,
        orientation=loaded.stored.orientation(),
        present=loaded.present,
        body=body_box(loaded.image, loaded.present),
        foreground=labelled_box(labels.any_foreground(loaded.label)),
        classes={name: of_class for name, of_class in measured.items() if name not in unknown},
        annotated=annotated,
    )


def measure_classes(label: NDArray[np.uint8], geometry: Geometry, labels: Labels) -> dict[str, ClassFingerprint]:
    """Volume, connected components (26-neighbourhood) and left-right position of each foreground class or region.

    A component that reaches ignored voxels is left out of the components, since its size is not known.

    Args:
        label: class indices (z, y, x).
        geometry: geometry of the label's grid.
        labels: the classes of the data set.
    """
    voxel = math.prod(geometry.spacing)
    boxes = class_boxes(label, labels)
    ignored = None if labels.ignored is None else label == labels.ignored
    classes = {}
    for index, (name, box) in enumerate(zip(labels.foreground, boxes, strict=True), start=1):
        if box is None:
            classes[name] = ClassFingerprint(volume_mm3=0, components_mm3=(), centroid_x=None)
            continue
        mask = np.ascontiguousarray(labels.mask(label[box], index))
        parts = cc3d.connected_components(mask, connectivity=26)
        sizes = np.bincount(parts.ravel())[1:]
        whole = sizes if ignored is None else np.delete(sizes, _cut(parts, box, ignored))
        classes[name] = ClassFingerprint(
            volume_mm3=float(sizes.sum() * voxel),
            components_mm3=tuple(float(size * voxel) for size in np.sort(whole)[::-1]),
            centroid_x=left_share(mask, [part.start for part in box], geometry),
        )
    return classes


def _cut(parts: NDArray[np.integer], box: Slices, ignored: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Indices from 0 of the components that touch ignored voxels.

    Args:
        parts: number of the component of each voxel (z, y, x) of a box, from 1.
        box: box in voxels of the image.
        ignored: ignored voxels (z, y, x) of the image.
    """
    wider = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in box)
    near = ndimage.binary_dilation(ignored[wider], np.ones((3, 3, 3), dtype=bool))
    inside = tuple(slice(p.start - w.start, p.stop - w.start) for p, w in zip(box, wider, strict=True))
    touching = np.unique(parts[near[inside]])
    return touching[touching > 0].astype(np.int64) - 1


def left_share(mask: NDArray[np.bool_], start: Sequence[int], geometry: Geometry) -> float:
    """Mean position of a mask from the patient's right (0) to left (1), as a share of the image's width.

    Args:
        mask: mask (z, y, x) of a box inside the image; not empty.
        start: index (z, y, x) in the image of the first voxel of the box.
        geometry: geometry of the whole image.
    """
    axis = closest_world_axes(geometry).index(0)
    counts = mask.sum(axis=tuple(a for a in range(3) if a != axis))
    centre = start[axis] + float(np.average(np.arange(len(counts)), weights=counts)) + 0.5
    share = centre / geometry.shape[axis]
    return share if geometry.direction[axis][0] > 0 else 1 - share


def measure_displacements(case: Case, loaded: LoadedCase, channels: Sequence[str]) -> tuple[Displacement, ...]:
    """The displacement of each further sequence of a case from its first one.

    Channels of one file were acquired or registered together, and are not measured.

    Args:
        case: the case, with the files that its channels come from.
        loaded: the same case with its intensities (channel, z, y, x) and its label (z, y, x).
        channels: names of the channels of the data set, in the order of the intensities.
    """
    first, *others = (i for i, there in enumerate(loaded.present) if there)
    if case.several_channels_in_one_file:
        return ()
    moved = movements(loaded.image[first], [loaded.image[i] for i in others], loaded.geometry.spacing)
    found = []
    for i, one in zip(others, moved, strict=True):
        path = case.images[i]
        assert path is not None
        own_grid = not same_voxels(read_geometry(path, case.pixel_spacing)[0], loaded.stored)
        mm, degrees = (None, None) if one is None else (one.mm, one.degrees)
        names = {"channel": channels[i], "reference": channels[first]}
        found.append(Displacement(**names, own_grid=own_grid, mm=mm, degrees=degrees))
    return tuple(found)


def sample_intensities(
    loaded: LoadedCase, crop: Box, labels: Labels, samples: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], ...]:
    """Sampled intensities (n,) of foreground voxels for each channel; empty if the channel or foreground is absent.

    Voxels are drawn with replacement, so that cases with little foreground weigh as much as the others. Foreground
    outside the crop to non-zero does not count, as it is not trained on. Ignored voxels are no foreground, which they
    are in nnU-Net 2.8.1.

    Args:
        loaded: the loaded case, with its label.
        crop: box (z, y, x) of the crop to non-zero voxels.
        labels: the classes of the data set.
        samples: number of voxels drawn for each channel.
        rng: random generator that draws the voxels.
    """
    assert loaded.label is not None
    foreground = labels.any_foreground(loaded.label[crop])
    none = np.zeros(0, dtype=np.float32)
    if not foreground.any():
        return (none,) * len(loaded.present)
    return tuple(
        rng.choice(channel[crop][foreground], samples) if there else none
        for channel, there in zip(loaded.image, loaded.present, strict=True)
    )


def _measure(task: _Task) -> _Measured:
    loaded = load_case(task.case, task.labels, task.orientation)
    rng = np.random.default_rng([SEED, zlib.crc32(task.case.name.encode())])
    crop = slices_of(box_of(nonzero_mask(loaded.image, loaded.present)))
    moved_mm = measure_displacements(task.case, loaded, task.channels)
    return _Measured(
        measure_case(task.case.name, loaded, crop, task.labels, task.case.annotated).changed(displacements=moved_mm),
        sample_intensities(loaded, crop, task.labels, task.samples, rng),
    )


def _intensities(
    channels: Sequence[str], by_case: Sequence[Sequence[NDArray[np.float32]]]
) -> tuple[ForegroundIntensity, ...]:
    """Intensity statistics of each channel over the samples of all cases."""
    statistics, problems = [], []
    for name, samples in zip(channels, zip(*by_case, strict=True), strict=True):
        values = np.concatenate(samples)
        if values.size:
            statistics.append(_statistics(values))
        else:
            problems.append(f"channel {name}: no case in which it was acquired has foreground to learn from")
    if problems:
        raise DatasetError(problems)
    return tuple(statistics)


def _statistics(values: NDArray[np.float32]) -> ForegroundIntensity:
    lowest, median, highest = np.percentile(values, (0.5, 50, 99.5))
    return ForegroundIntensity(
        mean=float(values.mean(dtype=np.float64)),
        sd=float(values.std(dtype=np.float64)),
        median=float(median),
        percentile_00_5=float(lowest),
        percentile_99_5=float(highest),
    )


def _bytes_needed(case: Case) -> int:
    """Estimated peak memory of a worker in bytes: it holds a case, its mask and its connected components."""
    image = case.first_image
    if image is None:
        return 0
    geometry, _ = read_geometry(image, case.pixel_spacing)
    return int(300e6 + math.prod(geometry.shape) * (10 * len(case.images) + 14))
